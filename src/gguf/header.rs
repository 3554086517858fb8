//! The header itself: metadata and the table of tensors.

use std::collections::BTreeMap;
use std::io::Read;

use super::reader::{Reader, Value};
use super::{ChatFamily, GgufError, file_type, tensor};

/// What a header may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole header; real ones reach 20 MiB (tokens and merges).
    pub bytes: u64,
    /// Metadata entries.
    pub entries: u64,
    /// Tensors.
    pub tensors: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            entries: 65_536,
            tensors: 262_144,
        }
    }
}

/// Metadata entries that are kept; a model has about 40.
const MAX_KEPT: usize = 1_024;
/// Layers that are told apart.
const MAX_LAYER: u32 = 4_096;
/// The spec's own bound on a key (ggml, `docs/gguf.md`).
const MAX_KEY: u64 = 65_535;
/// Bytes of a chat template that are looked at; real ones reach 20 KiB.
const MAX_TEMPLATE: u64 = 128 << 10;

/// What we keep of a GGUF header.
#[derive(Clone, Debug)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// `general.architecture`, such as `llama`.
    pub architecture: String,
    /// Bytes from the start of the file to the first tensor's data.
    pub data_start: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// The family of `tokenizer.chat_template`, where there is one that is known.
    pub chat: Option<ChatFamily>,
    metadata: BTreeMap<String, Value>,
    embedding_rows: Option<u64>,
    places: Places,
}

/// Bytes of tensors by where an engine puts them.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Of each layer.
    pub(super) layers: BTreeMap<u32, u64>,
    /// The table of token embeddings, which stays in the host's memory.
    pub(super) embedding: u64,
    /// Whether the output has a table of its own, and not the embedding's.
    pub(super) own_output: bool,
    /// Whether there is an output that ranks (llama.cpp: `cls` and `cls.output`).
    pub(super) ranks: bool,
}

impl Header {
    /// Reads a header from the start of a file of `file_bytes` bytes.
    ///
    /// # Errors
    /// [`GgufError::Truncated`] also where the tensors reach past `file_bytes`.
    pub fn read(source: impl Read, file_bytes: u64, limits: Limits) -> Result<Self, GgufError> {
        let mut reader = Reader::new(source, limits.bytes);
        if &reader.magic()? != b"GGUF" {
            return Err(GgufError::Magic);
        }
        let version = reader.u32()?;
        if !matches!(version, 2 | 3) {
            return Err(GgufError::Version(version));
        }
        let tensors = bounded("the number of tensors", reader.u64()?, limits.tensors)?;
        let entries = bounded(
            "the number of metadata entries",
            reader.u64()?,
            limits.entries,
        )?;
        let (metadata, chat) = read_metadata(&mut reader, entries)?;
        let architecture = match metadata.get("general.architecture") {
            Some(Value::Text(name)) if is_plain(name, 32) => name.clone(),
            _ => {
                return Err(GgufError::Invalid(
                    "general.architecture is missing or no plain name",
                ));
            }
        };
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Int(n)) if n.is_power_of_two() && (8..=1 << 20).contains(n) => *n,
            Some(_) => {
                return Err(GgufError::Invalid(
                    "general.alignment is no sensible power of two",
                ));
            }
        };
        let table = read_tensors(&mut reader, tensors)?;
        let data_start = reader.position().next_multiple_of(alignment);
        let end = data_start.checked_add(table.extent);
        if tensors > 0 && end.is_none_or(|end| end > file_bytes) {
            return Err(GgufError::Truncated {
                detail: format!(
                    "its tensors end at byte {} and the file at {file_bytes}",
                    end.unwrap_or(u64::MAX)
                ),
            });
        }
        Ok(Self {
            version,
            architecture,
            data_start,
            // Everything behind the header is tensors and what aligns them.
            tensor_bytes: if table.unknown {
                table.bytes.max(file_bytes.saturating_sub(data_start))
            } else {
                table.bytes
            },
            chat,
            metadata,
            embedding_rows: table.embedding_rows,
            places: table.places,
        })
    }

    /// The usual name of the quantisation, such as `Q4_K_M`.
    #[must_use]
    pub fn quantization(&self) -> Option<&'static str> {
        self.int("general.file_type").and_then(file_type::name)
    }

    /// `general.license`, where it is an identifier of at most 64 characters.
    #[must_use]
    pub fn license(&self) -> Option<&str> {
        self.text("general.license")
            .filter(|text| is_plain(text, 64))
    }

    /// Tokens in the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> Option<u64> {
        match self.metadata.get("tokenizer.ggml.tokens") {
            Some(Value::Skipped(length)) => Some(*length),
            _ => self.arch_int("vocab_size").or(self.embedding_rows),
        }
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn int(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// `<architecture>.<key>` as a scalar.
    pub(super) fn arch_int(&self, key: &str) -> Option<u64> {
        self.int(&format!("{}.{key}", self.architecture))
    }

    /// `<architecture>.<key>` as an array.
    pub(super) fn arch_ints(&self, key: &str) -> Option<&[u64]> {
        match self.metadata.get(&format!("{}.{key}", self.architecture)) {
            Some(Value::Ints(numbers)) => Some(numbers),
            _ => None,
        }
    }
}

fn bounded(what: &'static str, value: u64, limit: u64) -> Result<u64, GgufError> {
    if value > limit {
        return Err(GgufError::Limit { what, limit });
    }
    Ok(value)
}

/// Letters, digits and `. _ - +`: what may go into a status without further thought.
fn is_plain(text: &str, limit: usize) -> bool {
    !text.is_empty()
        && text.len() <= limit
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'))
}

fn read_metadata<R: Read>(
    reader: &mut Reader<R>,
    entries: u64,
) -> Result<(BTreeMap<String, Value>, Option<ChatFamily>), GgufError> {
    let mut kept = BTreeMap::new();
    let mut chat = None;
    for _ in 0..entries {
        let key = reader.text("the length of a metadata key", MAX_KEY)?;
        let kind = reader.u32()?;
        if key == "tokenizer.chat_template" {
            let template = reader.string(kind, MAX_TEMPLATE)?;
            if chat
                .replace(template.and_then(|text| ChatFamily::of(&text)))
                .is_some()
            {
                return Err(GgufError::Invalid("a metadata key is there twice"));
            }
            continue;
        }
        let value = reader.value(kind)?;
        // Arrays of the tokenizer count by length alone, and only that of its tokens.
        let useful = match &value {
            Value::Int(_) | Value::Text(_) => true,
            Value::Ints(_) => !key.starts_with("tokenizer."),
            Value::Skipped(_) => key == "tokenizer.ggml.tokens",
            Value::Other => false,
        };
        if useful {
            if kept.len() >= MAX_KEPT {
                return Err(GgufError::Limit {
                    what: "the number of scalar metadata entries",
                    limit: MAX_KEPT as u64,
                });
            }
            if kept.insert(key, value).is_some() {
                return Err(GgufError::Invalid("a metadata key is there twice"));
            }
        }
    }
    Ok((kept, chat.flatten()))
}

struct Table {
    /// Sum of the tensors' bytes.
    bytes: u64,
    /// Whether some are of a type whose size nobody here knows.
    unknown: bool,
    /// End of the last tensor, from the start of the data.
    extent: u64,
    embedding_rows: Option<u64>,
    places: Places,
}

impl Places {
    fn add(&mut self, name: &str, bytes: u64) {
        let layer = name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(number, _)| number.parse().ok())
            .filter(|number| *number < MAX_LAYER);
        match (layer, name) {
            (Some(layer), _) => {
                let sum = self.layers.entry(layer).or_default();
                *sum = sum.saturating_add(bytes);
            }
            (None, "token_embd.weight" | "per_layer_token_embd.weight") => {
                self.embedding = self.embedding.saturating_add(bytes);
            }
            (None, "output.weight") => self.own_output = true,
            (None, "cls.weight" | "cls.output.weight") => self.ranks = true,
            _ => {}
        }
    }
}

fn read_tensors<R: Read>(reader: &mut Reader<R>, tensors: u64) -> Result<Table, GgufError> {
    let overflow = || GgufError::Invalid("a tensor's place overflows");
    let mut table = Table {
        bytes: 0,
        unknown: false,
        extent: 0,
        embedding_rows: None,
        places: Places::default(),
    };
    for _ in 0..tensors {
        let name = reader.text("the length of a tensor's name", 256)?;
        let count = bounded("a tensor's dimensions", u64::from(reader.u32()?), 4)?;
        let mut dimensions = Vec::with_capacity(4);
        for _ in 0..count {
            dimensions.push(reader.u64()?);
        }
        let kind = reader.u32()?;
        let offset = reader.u64()?;
        let bytes = tensor::bytes(kind, &dimensions)?;
        table.unknown |= bytes.is_none();
        let bytes = bytes.unwrap_or_default();
        table.bytes = table.bytes.checked_add(bytes).ok_or_else(overflow)?;
        let end = offset.checked_add(bytes).ok_or_else(overflow)?;
        table.extent = table.extent.max(end);
        table.places.add(&name, bytes);
        if name == "token_embd.weight" {
            table.embedding_rows = dimensions.get(1).copied();
        }
    }
    Ok(table)
}

#[cfg(test)]
impl Header {
    /// Of a small llama, for the tests of other rooms.
    pub(crate) fn sample(chat: Option<ChatFamily>) -> Self {
        Self {
            version: 3,
            architecture: "llama".to_owned(),
            data_start: 0,
            tensor_bytes: 0,
            chat,
            metadata: BTreeMap::from([("general.file_type".to_owned(), Value::Int(3))]),
            embedding_rows: None,
            places: Places::default(),
        }
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
