//! What a message is and whose, read while its text passes in pieces, however long it is: nothing of it is kept but its id,
//! its code, and the name or the value that is read just now. Pure.

use serde_json::value::RawValue;

use super::id::{Id, MAX_ID};
use super::message::{Kind, Message};

/// An answer, as far as whoever passes it on needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's.
    pub id: Id,
    /// The code, where it is an error that has one.
    pub error: Option<i64>,
}

impl Answer {
    /// Of a message that was read; `None` where it is no answer.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let Kind::Response { id } = &message.kind else {
            return None;
        };
        Some(Self {
            id: id.clone(),
            error: message.error_code(),
        })
    }
}

/// What a message is that nobody could read, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// The answer to the request of that id.
    Answer(Id),
    /// A request, which wants an answer with that id.
    Question(Id),
}

/// One message that passes. Of an answer that [`Message`] reads it finds the same id; a text that is no message may be taken
/// for one or not.
#[derive(Debug, Default)]
pub struct Glance {
    place: Place,
    /// Objects and lists around what is read.
    depth: usize,
    /// Which of them are lists, the outermost in the lowest bit. Those deeper than there are bits are not told apart.
    lists: u128,
    /// What was read last outside strings, spaces aside.
    last: u8,
    text: Text,
    /// A name or a value as it was written, as far as it matters: one byte more than the longest id shows that it is longer.
    token: Vec<u8>,
    /// The member of the message whose value is read, and whether it is the code of an error.
    member: Member,
    code: bool,
    /// It is of JSON-RPC 2.0.
    speaks: bool,
    id: Option<Id>,
    /// It has a method.
    asks: bool,
    /// Its members that only answers have.
    answers: usize,
    error: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Its object has not begun.
    #[default]
    Before,
    Within,
    /// In one that is no JSON.
    Broken,
    After,
    /// In what is no object, or more than one.
    Elsewhere,
}

/// Whether a string is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Within,
    /// Behind a backslash.
    Escaped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    Version,
    Id,
    Error,
    #[default]
    Other,
}

impl Glance {
    /// Of so much of it.
    #[must_use]
    pub fn of(part: &[u8]) -> Self {
        let mut glance = Self::default();
        glance.push(part);
        glance
    }

    /// More of it.
    pub fn push(&mut self, part: &[u8]) {
        for byte in part.iter().copied() {
            match (self.place, byte) {
                (Place::Within | Place::Broken, _) => self.within(byte),
                (_, b' ' | b'\t' | b'\n' | b'\r') => {}
                (Place::Before, b'{') => {
                    self.place = Place::Within;
                    self.depth = 1;
                    self.last = byte;
                }
                _ => self.place = Place::Elsewhere,
            }
        }
    }

    /// The answer that it was, if all of it has passed.
    #[must_use]
    pub fn answer(self) -> Option<Answer> {
        let whole = self.place == Place::After && self.speaks;
        let answers = whole && !self.asks && self.answers == 1;
        let error = self.error;
        let id = self.id.filter(|_| answers)?;
        Some(Answer { id, error })
    }

    /// What it is as far as it can be told, also where it breaks off, or is no JSON: somebody may wait.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        let id = self.id.clone()?;
        if self.answers > 0 {
            return Some(Head::Answer(id));
        }
        self.asks.then_some(Head::Question(id))
    }

    fn within(&mut self, byte: u8) {
        match (self.text, byte) {
            (Text::Outside, _) => {
                self.outside(byte);
                return;
            }
            (Text::Escaped, _) => self.text = Text::Within,
            (Text::Within, b'\\') => self.text = Text::Escaped,
            (Text::Within, b'"') => self.text = Text::Outside,
            (Text::Within, _) => {}
        }
        self.keep(byte);
    }

    fn outside(&mut self, byte: u8) {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return;
        }
        if !self.fits(byte) {
            self.place = Place::Broken;
        }
        self.last = byte;
        match byte {
            b':' => self.named(),
            b',' => self.valued(),
            b'{' | b'[' => {
                self.lists &= !bit(self.depth);
                self.lists |= bit(self.depth) * u128::from(byte == b'[');
                self.depth += 1;
            }
            b'}' | b']' => {
                self.valued();
                self.depth -= 1;
                if self.depth == 0 {
                    self.place = match self.place {
                        Place::Within => Place::After,
                        _ => Place::Elsewhere,
                    };
                }
            }
            b'"' => {
                self.keep(byte);
                self.text = Text::Within;
            }
            _ => self.keep(byte),
        }
    }

    /// Whether this can come next: behind a name or a value where it needs one, and as the end of what began last.
    fn fits(&self, byte: u8) -> bool {
        let lacks = matches!(self.last, b':' | b',');
        match byte {
            b':' | b',' => !lacks && !matches!(self.last, b'{' | b'['),
            b'}' | b']' => {
                let bit = bit(self.depth - 1);
                !lacks && (bit == 0 || (self.lists & bit != 0) == (byte == b']'))
            }
            _ => true,
        }
    }

    /// Whether names and values matter here: the members of the message itself, and those of its error.
    fn is_read(&self) -> bool {
        self.depth == 1 || (self.depth == 2 && self.member == Member::Error)
    }

    fn keep(&mut self, byte: u8) {
        if self.is_read() && self.token.len() <= MAX_ID {
            self.token.push(byte);
        }
    }

    /// What was read is a member's name.
    fn named(&mut self) {
        if !self.is_read() {
            return;
        }
        // As a reader takes it: it could be written with escapes.
        let name: String = serde_json::from_slice(&self.token).unwrap_or_default();
        self.token.clear();
        if self.depth == 2 {
            self.code = name == "code";
            return;
        }
        self.asks |= name == "method";
        self.answers += usize::from(matches!(name.as_str(), "result" | "error"));
        self.member = match name.as_str() {
            "jsonrpc" => Member::Version,
            "id" => Member::Id,
            "error" => Member::Error,
            _ => Member::Other,
        };
    }

    /// What was read is a member's value. Of an object or a list nothing was kept.
    fn valued(&mut self) {
        if !self.is_read() {
            return;
        }
        let token = self.token.as_slice();
        if self.depth == 2 {
            if self.code {
                self.error = serde_json::from_slice(token).ok();
            }
            self.code = false;
        } else {
            match self.member {
                Member::Version => {
                    let version: String = serde_json::from_slice(token).unwrap_or_default();
                    self.speaks = version == "2.0";
                }
                Member::Id => {
                    let raw: Option<&RawValue> = serde_json::from_slice(token).ok();
                    self.id = raw.and_then(Id::parse);
                }
                Member::Error | Member::Other => {}
            }
            self.member = Member::Other;
        }
        self.token.clear();
    }
}

/// The one of an object or a list that so many others are around.
fn bit(around: usize) -> u128 {
    let at = u32::try_from(around).ok();
    at.and_then(|at| 1u128.checked_shl(at)).unwrap_or_default()
}

#[cfg(test)]
#[path = "glance_tests.rs"]
mod tests;
