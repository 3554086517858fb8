//! `sealroom size`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{Exit, say};
use crate::gguf::memory::{self, Memory, Need};
use crate::gguf::{Geometry, GgufError, Header, Kind, KvType, Limits, Settings};

const EXAMPLES: &str = "\
Examples:
  sealroom size model.gguf --context 8192 --parallel 2 --cache-type-k q8_0
  sealroom size model.gguf --gpu-layers 999 --output json";

/// Flags of `sealroom size`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A GGUF file; its header is read and no more
    model: PathBuf,
    /// Tokens of context, shared by the parallel requests
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(256..=1_048_576))]
    context: u32,
    /// Requests computed at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    /// Type of the cached keys: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl
    #[arg(long, default_value = "f16")]
    cache_type_k: KvType,
    /// Type of the cached values, of the same
    #[arg(long, default_value = "f16")]
    cache_type_v: KvType,
    /// Tokens computed at once
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Layers in an accelerator, from the last one; the output counts as one, and 999 means all
    #[arg(long, default_value_t = 0)]
    gpu_layers: u32,
    /// Further weights, such as an adapter's or a projector's: files
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

/// Ways of printing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table in MiB.
    #[default]
    Text,
    /// Bytes.
    Json,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum SizeError {
    #[error("failed to read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    #[error("failed to understand {0}: {1}")]
    Header(PathBuf, GgufError),
}

impl Args {
    /// Prints how much memory llama.cpp needs for a model.
    pub fn run(self) -> Exit {
        let error = match self.need() {
            Ok(need) => {
                let text = match self.output {
                    Output::Text => table(&need),
                    Output::Json => serde_json::json!(need).to_string() + "\n",
                };
                return say::result(&text, Exit::Ok);
            }
            Err(error) => error,
        };
        say::error(&error);
        match error {
            SizeError::Header(..) => Exit::Refused,
            SizeError::Read(..) => Exit::Passing,
        }
    }

    fn need(&self) -> Result<Need, SizeError> {
        let mut further_weights = 0_u64;
        for file in &self.with {
            further_weights = further_weights.saturating_add(open(file)?.1);
        }
        let settings = Settings {
            context: self.context,
            parallel: self.parallel,
            kv_k: self.cache_type_k,
            kv_v: self.cache_type_v,
            batch: self.batch,
            gpu_layers: self.gpu_layers,
            further_weights,
            ..Settings::default()
        };
        let (file, length) = open(&self.model)?;
        let geometry = Header::read(BufReader::new(file), length, Limits::default())
            .and_then(|header| header.must_be(Kind::Model).map(|()| header))
            .and_then(|header| Geometry::from_header(&header))
            .map_err(|error| SizeError::Header(self.model.clone(), error))?;
        Ok(memory::need(&geometry, &settings))
    }
}

fn open(path: &Path) -> Result<(File, u64), SizeError> {
    let opened = File::open(path).and_then(|file| {
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    opened.map_err(|error| SizeError::Read(path.to_owned(), error))
}

fn table(need: &Need) -> String {
    let mut text = "MiB   weights     cache   compute     total\n".to_owned();
    let mut row = |name: &str, memory: &Memory| {
        let numbers = [
            memory.weights,
            memory.kv_cache,
            memory.compute,
            memory.total,
        ];
        let [a, b, c, d] = numbers.map(|bytes| bytes.div_ceil(1 << 20));
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{name:<4}{a:>9} {b:>9} {c:>9} {d:>9}");
    };
    row("RAM", &need.ram);
    if let Some(vram) = &need.vram {
        row("VRAM", vram);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(weights: u64) -> Memory {
        Memory {
            weights: weights << 20,
            kv_cache: 180 << 20,
            compute: (109 << 20) + 1,
            total: 530 << 20,
        }
    }

    #[test]
    fn prints_a_table_of_mib() {
        let need = Need {
            ram: memory(92),
            vram: Some(memory(4_386)),
        };
        assert_eq!(
            table(&need),
            "MiB   weights     cache   compute     total\n\
             RAM        92       180       110       530\n\
             VRAM     4386       180       110       530\n"
        );
    }
}
