//! The estimates beside the numbers of `llama-fit-params`, which allocates nothing and counts everything.
//!
//! `tests/golden/memory/oracle.tsv` has them as recorded. `e2e/fit.sh` asks the tool again: it sets
//! `SEALROOM_FIT_ROOT` to where the tool is, and `SEALROOM_BLESS=1` records what it says.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::accelerator::Accelerator;
use super::sample::Sample;
use super::{Geometry, Header, KvType, Limits, Memory, Settings, memory, sample_models};

const MIB: u64 = 1 << 20;

/// One line: a model, settings, and what the tool says in MiB.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    model: String,
    settings: Settings,
    /// Weights, cache and compute of the host, then of the accelerator.
    said: Vec<u64>,
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/memory/oracle.tsv")
}

fn recorded() -> Vec<Line> {
    let text = fs::read_to_string(file()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(parse).collect()
}

fn parse(line: &str) -> Line {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = |at: usize| fields[at].parse().unwrap();
    let kv: KvType = fields[4].parse().unwrap();
    Line {
        model: fields[0].to_owned(),
        settings: Settings {
            context: number(1),
            parallel: number(2),
            batch: number(3),
            kv_k: kv,
            kv_v: kv,
            gpu_layers: number(5),
            ..Settings::default()
        },
        said: (fields[6..].iter()).map(|n| n.parse().unwrap()).collect(),
    }
}

fn geometry(sample: &Sample) -> Geometry {
    let header = Header::read(&*sample.bytes(), sample.file_bytes(), Limits::default()).unwrap();
    Geometry::from_header(&header).unwrap()
}

/// Within a tenth, or within the MiB to which the tool cuts. `more` is no fault where it is allowed.
fn agrees(ours: u64, said: u64, more: bool) -> bool {
    let said = said * MIB;
    (more && ours > said) || ours.abs_diff(said) <= (said / 10).max(MIB)
}

fn read(file: &Path) -> Geometry {
    let open = File::open(file).unwrap();
    let length = open.metadata().unwrap().len();
    let header = Header::read(std::io::BufReader::new(open), length, Limits::default());
    Geometry::from_header(&header.unwrap()).unwrap()
}

/// What is wrong with an estimate, if anything.
fn wrong(geometry: &Geometry, settings: &Settings, said: &[u64]) -> Option<String> {
    let need = memory::need(geometry, settings);
    // Where a model has states and an accelerator some of its layers, the buffers there are a bound.
    let some = (1..=geometry.layer_count()).contains(&settings.gpu_layers);
    let bound = |at: usize| geometry.state > 0 && some && at == 5;
    let parts = |memory: &Memory| [memory.weights, memory.kv_cache, memory.compute];
    let ours = [parts(&need.ram), parts(&need.vram.unwrap_or_default())].concat();
    let pairs = ours.iter().zip(said).enumerate();
    let names = ["weights", "cache", "compute"];
    let mut off: Vec<String> = pairs
        .filter(|(at, (ours, said))| !agrees(**ours, **said, bound(*at)))
        .map(|(at, (ours, said))| {
            let place = ["RAM", "VRAM"][at / 3];
            format!(
                "{place} {}: {} MiB instead of {said}",
                names[at % 3],
                ours / MIB
            )
        })
        .collect();
    let enough = [Some(need.ram), need.vram];
    for (memory, said) in enough.iter().flatten().zip(said.chunks(3)) {
        if memory.total < said.iter().sum::<u64>() * MIB {
            off.push(format!("{} MiB in all are too few", memory.total / MIB));
        }
    }
    (!off.is_empty()).then(|| off.join(", "))
}

#[test]
fn estimates_are_within_a_tenth_of_what_is_recorded() {
    let models = sample_models::all();
    let lines = recorded();
    let mut bad = String::new();
    for line in &lines {
        let (_, sample) = (models.iter())
            .find(|(name, _)| *name == line.model)
            .unwrap();
        let need = memory::need(&geometry(sample), &line.settings);
        let ours = [need.ram, need.vram.unwrap_or_default()]
            .map(|m| [m.weights, m.kv_cache, m.compute, m.total].map(|bytes| bytes / MIB));
        println!("fit: {line:?} {ours:?}");
        if let Some(what) = wrong(&geometry(sample), &line.settings, &line.said) {
            writeln!(bad, "{} {:?}: {what}", line.model, line.settings).unwrap();
        }
    }
    assert!(bad.is_empty(), "{bad}");
    for (name, _) in models {
        let of: Vec<_> = lines.iter().filter(|line| line.model == name).collect();
        assert!(
            of.iter().any(|line| line.settings.gpu_layers == 0),
            "{name}"
        );
        assert!(of.iter().any(|line| line.settings.gpu_layers > 0), "{name}");
    }
}

/// Where the tool is, if it is to be asked.
struct Oracle {
    root: PathBuf,
    accelerator: Accelerator,
}

impl Oracle {
    fn new() -> Option<Self> {
        let root = std::env::var_os("SEALROOM_FIT_ROOT")?.into();
        let accelerator = Accelerator::start();
        Some(Self { root, accelerator })
    }

    fn run(&self, model: &Path, settings: &Settings, protocol: u8) -> Result<Vec<u64>, String> {
        self.accelerator.speaks(protocol);
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let path = format!("{0}:{0}/llama", libraries.display());
        // From the host, through the loader of the tool's own libc; it looks for its backends where it is started.
        let mut tool = Command::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        tool.current_dir(libraries.join("ggml/backends0"))
            .env("GGML_NO_BACKTRACE", "1")
            .args(["--library-path", &path])
            .arg(self.root.join("usr/bin/llama-fit-params"))
            // Without repacking: those weights are in no column, though they take as much.
            .args(["--fit", "off", "--fit-print", "on", "--no-repack", "-m"])
            .arg(model);
        let numbers = [
            ("-c", settings.context),
            ("-np", settings.parallel),
            ("-b", settings.batch.max(2_048)),
            ("-ub", settings.batch),
            ("-ngl", settings.gpu_layers),
        ];
        for (flag, number) in numbers {
            tool.arg(flag).arg(number.to_string());
        }
        tool.args([
            "-ctk",
            settings.kv_k.as_str(),
            "-ctv",
            settings.kv_v.as_str(),
        ]);
        if settings.gpu_layers > 0 {
            tool.args(["--rpc", &self.accelerator.address()]);
        }
        let output = tool.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let row = |name: &str| -> Option<Vec<u64>> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let numbers = line.split_whitespace().skip(1);
            numbers.map(|number| number.parse().ok()).collect()
        };
        let device = match settings.gpu_layers {
            0 => Some(vec![]),
            _ => row("RPC"),
        };
        match (row("Host"), device) {
            (Some(host), Some(device)) => Ok([host, device].concat()),
            _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The tool's version of the accelerators' protocol is found by trying.
    fn ask(&self, model: &Path, settings: &Settings) -> Vec<u64> {
        let mut last = String::new();
        for protocol in self.accelerator.protocols() {
            match self.run(model, settings, protocol) {
                Ok(said) => return said,
                Err(error) => last = error,
            }
        }
        panic!("{} {settings:?}: {last}", model.display());
    }
}

/// Does nothing unless the tool is there: `e2e/fit.sh`.
#[test]
fn estimates_are_within_a_tenth_of_what_the_tool_says() {
    let Some(oracle) = Oracle::new() else { return };
    let work = tempfile::tempdir().unwrap();
    for (name, sample) in sample_models::all() {
        let path = work.path().join(name);
        fs::write(&path, sample.bytes()).unwrap();
        // As long as with all its weights, and with none on the disk.
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(sample.file_bytes()).unwrap();
    }
    let mut bad = String::new();
    let lines: Vec<Line> = recorded()
        .into_iter()
        .map(|line| {
            let path = work.path().join(&line.model);
            let said = oracle.ask(&path, &line.settings);
            if let Some(what) = wrong(&read(&path), &line.settings, &said) {
                writeln!(bad, "{} {:?}: {what}", line.model, line.settings).unwrap();
            }
            Line { said, ..line }
        })
        .collect();
    if std::env::var_os("SEALROOM_BLESS").is_some() {
        fs::write(file(), render(&lines)).unwrap();
    }
    // Another version of the tool may say something else: the estimates count.
    let pairs = lines.iter().zip(recorded());
    let others = pairs.filter(|(now, then)| *now != then).count();
    println!(
        "fit: {} lines, {others} of them not as recorded",
        lines.len()
    );
    assert!(bad.is_empty(), "{bad}");
}

/// Real files, where there are some: the header is the real one, and so is the tokenizer.
#[test]
fn real_models_are_within_a_tenth_of_what_the_tool_says() {
    let Some(oracle) = Oracle::new() else { return };
    let Some(files) = std::env::var_os("SEALROOM_FIT_MODELS") else {
        return;
    };
    for file in std::env::split_paths(&files) {
        let geometry = read(&file);
        let shapes = [
            (8_192, 1, 0),
            (32_768, 1, 0),
            (8_192, 4, 0),
            (8_192, 1, 999),
            (8_192, 1, 9),
        ];
        for (context, parallel, gpu_layers) in shapes {
            let settings = Settings {
                context,
                parallel,
                gpu_layers,
                ..Settings::default()
            };
            let said = oracle.ask(&file, &settings);
            let what = wrong(&geometry, &settings, &said);
            assert!(what.is_none(), "{} {settings:?}: {what:?}", file.display());
            println!("fit: {} {settings:?}: {said:?}", file.display());
        }
    }
}

fn render(lines: &[Line]) -> String {
    let mut text = fs::read_to_string(file()).unwrap();
    let head = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .count();
    text = text
        .lines()
        .take(head)
        .map(|line| format!("{line}\n"))
        .collect();
    for Line {
        model,
        settings,
        said,
    } in lines
    {
        let said: Vec<String> = said.iter().map(u64::to_string).collect();
        writeln!(
            text,
            "{model}\t{}\t{}\t{}\t{}\t{}\t{}",
            settings.context,
            settings.parallel,
            settings.batch,
            settings.kv_k.as_str(),
            settings.gpu_layers,
            said.join("\t")
        )
        .unwrap();
    }
    text
}
