//! Little-endian primitives out of a stream, within a budget.

use std::io::{self, Read};

use super::GgufError;

/// Nested arrays deeper than this are no model's.
const MAX_DEPTH: u8 = 4;
/// Elements kept of a numeric array; layer counts are far below.
const MAX_KEPT_ELEMENTS: u64 = 4_096;
/// Bytes kept of a string value; longer ones (templates) are skipped.
const MAX_KEPT_STRING: u64 = 256;

/// A metadata value as far as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Any non-negative integer, or a boolean as 0 or 1.
    Int(u64),
    /// A short string.
    Text(String),
    /// A short array of non-negative integers or booleans.
    Ints(Vec<u64>),
    /// An array that was skipped, by its length.
    Skipped(u64),
    /// Anything else.
    Other,
}

/// Counts the bytes it hands out and stops at a budget.
pub(super) struct Reader<R> {
    inner: R,
    position: u64,
    budget: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R, budget: u64) -> Self {
        Self {
            inner,
            position: 0,
            budget,
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn charge(&mut self, bytes: u64) -> Result<(), GgufError> {
        let end = self.position.saturating_add(bytes);
        if end > self.budget {
            return Err(GgufError::Limit {
                what: "the header's length in bytes",
                limit: self.budget,
            });
        }
        self.position = end;
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), GgufError> {
        self.charge(buffer.len() as u64)?;
        self.inner.read_exact(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                GgufError::Truncated {
                    detail: format!("it ends inside the header, before byte {}", self.position),
                }
            } else {
                GgufError::Io(error)
            }
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn magic(&mut self) -> Result<[u8; 4], GgufError> {
        self.array()
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), GgufError> {
        let mut buffer = [0; 4096];
        while bytes > 0 {
            let step = bytes.min(buffer.len() as u64);
            let part = usize::try_from(step).unwrap_or(buffer.len());
            self.fill(&mut buffer[..part])?;
            bytes -= step;
        }
        Ok(())
    }

    /// A length-prefixed text of at most `limit` bytes; anything longer is an error.
    pub(super) fn text(&mut self, what: &'static str, limit: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > limit {
            return Err(GgufError::Limit { what, limit });
        }
        self.utf8(length)
    }

    fn utf8(&mut self, length: u64) -> Result<String, GgufError> {
        let length =
            usize::try_from(length).map_err(|_| GgufError::Invalid("a length overflows"))?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| GgufError::Invalid("a name is not UTF-8"))
    }

    /// A string value of at most `limit` bytes; `None` for a longer one, for bytes that are no text and for
    /// another type, which are skipped.
    pub(super) fn string(&mut self, kind: u32, limit: u64) -> Result<Option<String>, GgufError> {
        let value = match kind {
            8 => self.string_value(limit)?,
            _ => self.value(kind)?,
        };
        Ok(match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    fn string_value(&mut self, limit: u64) -> Result<Value, GgufError> {
        let length = self.u64()?;
        if length > limit {
            self.skip(length)?;
            return Ok(Value::Other);
        }
        let length =
            usize::try_from(length).map_err(|_| GgufError::Invalid("a length overflows"))?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8(bytes).map_or(Value::Other, Value::Text))
    }

    /// One value of type `kind` (ggml, `gguf_metadata_value_type`).
    pub(super) fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        match kind {
            8 => self.string_value(MAX_KEPT_STRING),
            9 => {
                let element = self.u32()?;
                let length = self.u64()?;
                self.elements(element, length, 1)
            }
            6 | 12 => {
                self.skip(if kind == 6 { 4 } else { 8 })?;
                Ok(Value::Other)
            }
            _ => Ok(self.integer(kind)?.map_or(Value::Other, Value::Int)),
        }
    }

    /// An integer or boolean; `None` where it is negative.
    fn integer(&mut self, kind: u32) -> Result<Option<u64>, GgufError> {
        Ok(match kind {
            0 | 7 => Some(u64::from(self.array::<1>()?[0])),
            1 => u64::try_from(i8::from_le_bytes(self.array()?)).ok(),
            2 => Some(u64::from(u16::from_le_bytes(self.array()?))),
            3 => u64::try_from(i16::from_le_bytes(self.array()?)).ok(),
            4 => Some(u64::from(self.u32()?)),
            5 => u64::try_from(i32::from_le_bytes(self.array()?)).ok(),
            10 => Some(self.u64()?),
            11 => u64::try_from(i64::from_le_bytes(self.array()?)).ok(),
            _ => return Err(GgufError::Invalid("a metadata value has an unknown type")),
        })
    }

    fn elements(&mut self, kind: u32, length: u64, depth: u8) -> Result<Value, GgufError> {
        if depth > MAX_DEPTH {
            return Err(GgufError::Limit {
                what: "the nesting of arrays",
                limit: u64::from(MAX_DEPTH),
            });
        }
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                for _ in 0..length {
                    let bytes = self.u64()?;
                    self.skip(bytes)?;
                }
                return Ok(Value::Skipped(length));
            }
            9 => {
                for _ in 0..length {
                    let inner = self.u32()?;
                    let inner_length = self.u64()?;
                    self.elements(inner, inner_length, depth + 1)?;
                }
                return Ok(Value::Skipped(length));
            }
            _ => return Err(GgufError::Invalid("an array has an unknown element type")),
        };
        let float = matches!(kind, 6 | 12);
        if float || depth > 1 || length > MAX_KEPT_ELEMENTS {
            self.skip(length.saturating_mul(width))?;
            return Ok(Value::Skipped(length));
        }
        let mut kept = Vec::new();
        for _ in 0..length {
            kept.push(self.integer(kind)?.unwrap_or(0));
        }
        Ok(Value::Ints(kept))
    }
}
