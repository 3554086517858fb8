//! No value of a setting becomes another argument, variable or file, whatever is written.

use std::path::Component;

use super::*;
use crate::gguf::{Header, KvType};
use crate::types::Digest;

/// What somebody could write where a text is asked for.
const HOSTILE: [&str; 9] = [
    "--host=0.0.0.0",
    "-hf",
    "a --rpc 10.0.0.1:50052",
    "a\n--slot-save-path\n/models",
    "$(HOSTNAME)",
    "../../etc/passwd",
    "LLAMA_ARG_HOST=0.0.0.0",
    "a\u{0}b",
    "\u{202e}\u{7f}\u{1b}[2J",
];

/// Flags of llama-server that take one of our values. Whatever stands behind one of them is its value
/// (llama.cpp, `common/arg.cpp`: the next argument is taken as it is).
const WITH_VALUE: [&str; 21] = [
    "-m",
    "--host",
    "--port",
    "--alias",
    "-c",
    "-np",
    "-t",
    "--threads-http",
    "--cache-ram",
    "--ctx-checkpoints",
    "--cache-type-k",
    "--cache-type-v",
    "--batch-size",
    "--ubatch-size",
    "--gpu-layers",
    "--pooling",
    "--flash-attn",
    "--chat-template-file",
    "--lora",
    "--mmproj",
    "--lora-scaled",
];
const ALONE: [&str; 6] = [
    "--offline",
    "--no-ui",
    "--no-slots",
    "--metrics",
    "--embeddings",
    "--reranking",
];

fn adapter(name: &str) -> Adapter {
    Adapter {
        file: format!("/models/{name}/model.gguf"),
        scale: "-0.5".to_owned(),
    }
}

/// Every setting is written.
fn full() -> Settings {
    Settings {
        adapters: ["a", "b"].map(adapter).to_vec(),
        projector: Some("/models/p/model.gguf".to_owned()),
        task: Task {
            template: Some("{{ messages }}".to_owned()),
            stop: vec!["<|end|>".to_owned()],
            ..Task::default()
        },
        tuning: Tuning {
            cache_k: KvType::Q8_0,
            cache_v: KvType::Q8_0,
            batch: Some(256),
            micro_batch: Some(64),
            gpu_layers: Some(999),
            pooling: Some(Pooling::Last),
            flash_attention: FlashAttention::Always,
            ..Tuning::sample()
        },
        ..Settings::sample()
    }
}

/// With this text wherever a user's text can be.
fn with(text: &str) -> Settings {
    let mut settings = full();
    text.clone_into(&mut settings.name);
    settings.task.template = Some(text.to_owned());
    settings.task.stop = vec![text.to_owned(), text.to_owned()];
    settings
}

fn entries(engine: Engine, settings: &Settings) -> Vec<Entry> {
    let weights = Weights {
        digest: &Digest::from_bytes(&[7; 32]),
        bytes: 1,
        header: &Header::sample(Some(ChatFamily::ChatML)),
    };
    engine
        .particulars()
        .layout(&weights, settings)
        .unwrap_or_default()
}

#[rstest::rstest]
fn a_text_stays_the_value_that_it_is(
    #[values(Engine::LlamaCpp, Engine::Ollama)] engine: Engine,
    #[values(Mode::Completion, Mode::Embedding, Mode::Rerank)] mode: Mode,
) {
    let of = engine.particulars();
    let mode_of = |mut settings: Settings| {
        settings.task.mode = mode;
        settings
    };
    let plain = of.command(&mode_of(full()));
    let names = |settings: &Settings| -> Vec<&'static str> {
        let set = of.environment(settings);
        set.into_iter().map(|(name, _)| name).collect()
    };
    for text in HOSTILE {
        let settings = mode_of(with(text));
        let command = of.command(&settings);
        assert_eq!(command.len(), plain.len(), "{text:?}: {command:?}");
        for (index, (now, then)) in command.iter().zip(&plain).enumerate() {
            let same = now == then;
            let value = now == text && command[index - 1] == "--alias";
            assert!(same || value, "{text:?} became {now:?}: {command:?}");
        }
        let environment = of.environment(&settings);
        assert_eq!(names(&settings), names(&mode_of(full())));
        for (_, value) in environment {
            assert!(!value.contains(text), "{text:?}: {value}");
        }
        for entry in entries(engine, &settings) {
            let (Entry::File { path, .. } | Entry::Link { path, .. }) = entry;
            let inside = path
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            assert!(inside, "{text:?}: {path:?}");
        }
    }
}

/// llama-server's flags come from this list alone, each with its value behind it.
#[rstest::rstest]
fn there_is_no_other_flag(
    #[values(Mode::Completion, Mode::Embedding, Mode::Rerank)] mode: Mode,
    #[values("assistant", "-hf", "--tools")] name: &str,
) {
    let mut settings = full();
    name.clone_into(&mut settings.name);
    settings.task.mode = mode;
    let command = Engine::LlamaCpp.particulars().command(&settings);
    let mut arguments = command.iter().skip(1).map(String::as_str);
    while let Some(flag) = arguments.next() {
        if ALONE.contains(&flag) {
            continue;
        }
        assert!(WITH_VALUE.contains(&flag), "{flag}: {command:?}");
        assert!(arguments.next().is_some(), "{flag}");
    }
    // What would listen, fetch, save or run is not even a value.
    let text = command.join("\n");
    for never in [
        "-hf-repo",
        "--rpc",
        "--slot-save-path",
        "--media-path",
        "--log-prompts-dir",
        "--mcp",
    ] {
        assert!(!text.contains(never), "{never}");
    }
}

/// All adapters are one argument's value, because llama-server warns that of several only the last would count.
#[test]
fn adapters_and_projector_are_files_behind_their_flags() {
    let command = Engine::LlamaCpp.particulars().command(&full());
    let value = |flag: &str| {
        let mut pairs = command.windows(2).filter(|pair| pair[0] == flag);
        let value = pairs.next().map(|pair| pair[1].as_str());
        assert!(pairs.next().is_none(), "{flag} twice");
        value
    };
    let adapters = "/models/a/model.gguf:-0.5,/models/b/model.gguf:-0.5";
    assert_eq!(value("--lora-scaled"), Some(adapters));
    assert_eq!(value("--mmproj"), Some("/models/p/model.gguf"));
    let plain = Engine::LlamaCpp.particulars().command(&Settings::sample());
    let beside = |flag: &String| flag.starts_with("--lora") || flag.starts_with("--mmproj");
    assert!(!plain.iter().any(beside));
}

/// The template is a file of the store and no argument.
#[test]
fn a_given_template_is_a_file() {
    let settings = with("{{ $(X) }}");
    let command = Engine::LlamaCpp.particulars().command(&settings);
    let at = command
        .iter()
        .position(|flag| flag == "--chat-template-file")
        .unwrap();
    assert_eq!(command[at + 1], "/run/store/chat-template.jinja");
    let file = Entry::File {
        path: "chat-template.jinja".into(),
        bytes: b"{{ $(X) }}".to_vec(),
    };
    assert_eq!(entries(Engine::LlamaCpp, &settings), [file]);
    let mut none = settings;
    none.task.template = None;
    let of = Engine::LlamaCpp.particulars();
    assert!(!of.has_store(&none) && of.has_store(&with("x")));
    assert!(
        !of.command(&none)
            .contains(&"--chat-template-file".to_owned())
    );
}

#[test]
fn ollamas_settings_are_in_its_layer_and_its_variables() {
    let settings = full();
    let of = Engine::Ollama.particulars();
    let expected = [
        ("OLLAMA_CONTEXT_LENGTH", "2048"),
        ("OLLAMA_NUM_PARALLEL", "2"),
        ("OLLAMA_KV_CACHE_TYPE", "q8_0"),
        ("OLLAMA_FLASH_ATTENTION", "1"),
    ];
    let set = of.environment(&settings);
    let set: Vec<_> = set.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(set, expected);
    assert_eq!(of.environment(&Settings::sample()).len(), 2);
    let params = entries(Engine::Ollama, &settings).into_iter().any(|entry| {
        matches!(entry, Entry::File { bytes, .. } if {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.contains("\"num_gpu\":999") && text.contains("\"num_batch\":256")
        })
    });
    assert!(params, "they are in the params layer");
}
