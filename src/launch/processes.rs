//! Starting the engine, ending everything, reaping everybody.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::engine::{Particulars, Place};

/// Longest time that one [`kill_all`] waits for the killed to be gone.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// How often strays are looked for after the death of a child.
const STRAY_ROUNDS: usize = 8;

/// Variables that every engine gets from the container's environment: where it finds its libraries, and which
/// accelerators a device plugin gave the pod. Beside them it gets its own settings, and nothing else that an image or a
/// pod carries: none that loads another library (`GGML_BACKEND_PATH`, `CUDA_INJECTION64_PATH`, `HSA_TOOLS_LIB`), writes
/// files or listens.
const PASSED: [&str; 13] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HSA_OVERRIDE_GFX_VERSION",
];

/// Bytes of compiled kernels that CUDA may keep in `$HOME`, a volume of 256 MiB; its own default is 1 GiB.
const CUDA_CACHE: &str = "134217728";

/// The engine's environment out of this process's.
#[must_use]
pub fn environment(
    from: impl Iterator<Item = (OsString, OsString)>,
    engine: &dyn Particulars,
    place: &Place<'_>,
) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = from
        .filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| PASSED.contains(&name) || engine.passes(name))
        })
        .collect();
    let fixed = engine.fixed(place).into_iter();
    env.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    }
    env.push(("HOME".into(), "/tmp".into()));
    env.push(("TMPDIR".into(), "/tmp".into()));
    env.push(("CUDA_CACHE_MAXSIZE".into(), CUDA_CACHE.into()));
    env
}

/// Starts a program in a process group of its own, with pipes for its output and this environment alone.
///
/// # Errors
/// The program, which is named, cannot be started.
pub fn spawn(
    command: &[OsString],
    environment: &[(OsString, OsString)],
    stdin: Stdio,
) -> io::Result<Child> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    Command::new(program)
        .args(args)
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))
}

/// The process of a child.
#[must_use]
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// SIGTERM to the engine itself.
pub fn term(engine: Pid) {
    let _ = kill(engine, Signal::SIGTERM);
}

/// Collects whoever has ended, without waiting: each with its exit code, or 128 plus its signal.
pub fn reap() -> Vec<(Pid, i32)> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push((pid, code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => ended.push((pid, 128 + signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return ended,
        }
    }
}

/// SIGKILL to every process but this one, and waits until they are gone. False when some are left (a process
/// in an uninterruptible call): the caller repeats it.
///
/// As PID 1 of a container that is `kill(-1)`, which no fork escapes: the kernel walks the list of processes
/// under the lock that a fork needs, and a fork with a signal pending starts over. Elsewhere (tests, or a pod
/// that shares its PID namespace) it is the engine's group and all descendants, again and again until none is
/// left; orphans come back to launch, which is their subreaper.
pub fn kill_all(engine: Option<Pid>) -> bool {
    let begun = Instant::now();
    loop {
        let left = if getpid().as_raw() == 1 {
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
            reap();
            matches!(
                waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)),
                Ok(WaitStatus::StillAlive)
            )
        } else {
            if let Some(engine) = engine {
                let _ = killpg(engine, Signal::SIGKILL);
            }
            let family = descendants();
            for pid in &family {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            reap();
            !descendants().is_empty()
        };
        if !left {
            return true;
        }
        if begun.elapsed() > KILL_WAIT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All processes whose chain of parents leads here.
fn descendants() -> Vec<Pid> {
    below(&tree(), vec![getpid().as_raw()])
}

/// The children of every process.
fn tree() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let Ok(proc) = fs::read_dir("/proc") else {
        return children;
    };
    for entry in proc.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent_of(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// All whose chain of parents leads to one of `next`.
fn below(children: &HashMap<i32, Vec<i32>>, mut next: Vec<i32>) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    while let Some(parent) = next.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if seen.insert(*child) {
                found.push(Pid::from_raw(*child));
                next.push(*child);
            }
        }
    }
    found
}

/// SIGKILL to every process below this one that belongs to none of the `live` children: neither below one of them, nor
/// with the mark of one in its environment as the variable `name`. Again and again, since such a process may fork.
pub fn kill_strays(name: &str, live: &[(Pid, &str)]) {
    for _ in 0..STRAY_ROUNDS {
        let tree = tree();
        let own = below(&tree, live.iter().map(|(pid, _)| pid.as_raw()).collect());
        let strays: Vec<_> = below(&tree, vec![getpid().as_raw()])
            .into_iter()
            .filter(|pid| !live.iter().any(|(child, _)| child == pid) && !own.contains(pid))
            .filter(|pid| !is_marked(*pid, name, live))
            .collect();
        if strays.is_empty() {
            return;
        }
        for pid in strays {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn is_marked(pid: Pid, name: &str, live: &[(Pid, &str)]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    mark.is_some_and(|mark| live.iter().any(|(_, live)| live.as_bytes() == mark))
}

/// The fourth field of `/proc/<pid>/stat` (proc_pid_stat(5)); the second, the name, may hold anything.
fn parent_of(stat: &[u8]) -> Option<i32> {
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(after + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    const FROM: [(&str, &str); 18] = [
        ("PATH", "/opt/bin"),
        ("HOME", "/root"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ("HTTPS_PROXY", "http://proxy"),
        ("LD_PRELOAD", "/x.so"),
        ("LLAMA_ARG_HOST", "0.0.0.0"),
        ("LLAMA_ARG_HF_REPO", "example/model"),
        ("LLAMA_API_KEY", "k"),
        ("GGML_BACKEND_PATH", "/x.so"),
        ("GGML_RPC_DEBUG", "1"),
        ("CUDA_INJECTION64_PATH", "/x.so"),
        ("HSA_TOOLS_LIB", "/x.so"),
        ("CUDA_CACHE_MAXSIZE", "4294967296"),
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("OLLAMA_KV_CACHE_TYPE", "q8_0"),
        ("OLLAMA_NUM_PARALLEL", "2"),
        ("OLLAMA_REMOTES", "example.org"),
        ("OLLAMA_HOST", "0.0.0.0"),
    ];

    fn of(engine: Engine) -> Vec<(String, String)> {
        let place = Place {
            port: 11_434,
            store: "/store",
        };
        let from = FROM.into_iter().map(|(k, v)| (k.into(), v.into()));
        environment(from, engine.particulars(), &place)
            .into_iter()
            .map(|(k, v)| (k.into_string().unwrap(), v.into_string().unwrap()))
            .collect()
    }

    #[test]
    fn an_engine_gets_the_listed_variables_only() {
        let env = of(Engine::LlamaCpp);
        let names: Vec<_> = env.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "PATH",
            "CUDA_VISIBLE_DEVICES",
            "HOME",
            "TMPDIR",
            "CUDA_CACHE_MAXSIZE",
        ];
        assert_eq!(names, expected);
        assert_eq!(env[0].1, "/opt/bin");
        assert_eq!(env[2].1, "/tmp");
        assert_eq!(env[4].1, CUDA_CACHE);
    }

    #[test]
    fn what_must_hold_is_set_whatever_the_container_says() {
        let env = of(Engine::Ollama);
        let all = |name: &str| -> Vec<&str> {
            let found = env.iter().filter(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(all("OLLAMA_HOST"), ["127.0.0.1:11434"]);
        assert_eq!(all("OLLAMA_NUM_PARALLEL"), ["2"]);
        assert!(all("OLLAMA_REMOTES").is_empty());
        assert_eq!(all("OLLAMA_KV_CACHE_TYPE"), ["q8_0"]);
        for refused in ["LLAMA_ARG_HOST", "GGML_BACKEND_PATH", "HSA_TOOLS_LIB"] {
            assert!(all(refused).is_empty(), "{refused}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_started_is_named() {
        let command = [OsString::from("/nowhere/at/all")];
        let error = spawn(&command, &[], Stdio::null()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("/nowhere/at/all: "));
    }

    #[test]
    fn a_name_with_a_bracket_hides_no_parent() {
        assert_eq!(parent_of(b"7 (a) R 1 (b) S 42 7 7"), Some(42));
        assert_eq!(parent_of(b"7 (sh) S 42 7 7"), Some(42));
        assert_eq!(parent_of(b"7 sh"), None);
    }
}
