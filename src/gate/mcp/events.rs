//! Server-sent events of a server, one by one (WHATWG HTML, section 9.2): pure.

use bytes::Bytes;

use crate::mcp::Message;

/// Cuts a stream into events.
#[derive(Debug)]
pub struct Events {
    left: Vec<u8>,
    longest: usize,
}

/// An event is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is too long")]
pub struct TooLong;

/// One event, as its lines came, the empty one that ends it included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event(Vec<u8>);

impl Events {
    /// Each of at most so many bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self {
            left: Vec::new(),
            longest,
        }
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.left.len()
    }

    /// The events that end in these bytes.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn push(&mut self, data: &[u8]) -> Result<Vec<Event>, TooLong> {
        // CR alone ends a line too; nobody writes it, and as LF it means the same.
        // What was looked at before is not looked at again, but for its last byte.
        let mut from = self.left.len().saturating_sub(1);
        self.left.extend(data.iter().filter(|byte| **byte != b'\r'));
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(end) = end_of_event(&self.left, from) {
            found.push(Event(self.left[start..end + 2].to_vec()));
            start = end + 2;
            from = start;
        }
        self.left.drain(..start);
        if self.left.len() > self.longest {
            return Err(TooLong);
        }
        Ok(found)
    }
}

fn end_of_event(text: &[u8], from: usize) -> Option<usize> {
    let mut pairs = text.windows(2).skip(from);
    pairs.position(|pair| pair == b"\n\n").map(|at| from + at)
}

/// Whether a line passes as it is: a comment, or a field that is no data.
fn passes(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    !line.is_empty() && matches!(name, b"" | b"event" | b"id" | b"retry")
}

impl Event {
    /// One with this message, as text.
    #[must_use]
    pub fn of(message: &Message) -> Bytes {
        let mut text = b"event: message\ndata: ".to_vec();
        text.extend_from_slice(&message.to_line());
        text.extend_from_slice(b"\n\n");
        text.into()
    }

    /// The message in it.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        let lines = self.0.split(|byte| *byte == b'\n');
        let data = lines.filter_map(|line| line.strip_prefix(b"data:"));
        let data: Vec<_> = data
            .map(|line| line.strip_prefix(b" ").unwrap_or(line))
            .collect();
        Message::parse(&data.join(&b'\n')).ok()
    }

    /// With its message as `shape` makes it. Data that is no message is nobody's, and so is what is no field: a reader
    /// takes a mark of the byte order off the first line, and could find data behind it.
    #[must_use]
    pub fn shaped(self, shape: impl FnOnce(Message) -> Message) -> Vec<u8> {
        let mut out = Vec::new();
        for line in self.0.split(|byte| *byte == b'\n') {
            if passes(line) {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
        let empty = !self
            .0
            .windows(6)
            .any(|part| part == b"data: " || part == b"data:{");
        match self.message() {
            Some(message) => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&shape(message).to_line());
                out.push(b'\n');
            }
            // An event that only tells where to go on has no data.
            None if empty => {}
            None => out.extend_from_slice(b"data: \n"),
        }
        out.push(b'\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Id;

    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;

    #[test]
    fn events_are_cut_and_shaped_however_they_come() {
        let text = format!(
            ": comment\r\n\r\nid: 7\ndata: {LIST}\n\nevent: message\ndata: no json\n\ndata: half"
        );
        for size in [1, 3, 1000] {
            let mut events = Events::new(1000);
            let mut out = Vec::new();
            for part in text.as_bytes().chunks(size) {
                for event in events.push(part).unwrap() {
                    out.extend(event.shaped(|message| message.with_id(&Id::number(7))));
                }
            }
            let expected = ": comment\n\nid: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[]}}\n\nevent: message\ndata: \n\n";
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{size}");
        }
    }

    /// A reader takes the mark of the byte order off.
    #[test]
    fn data_behind_a_mark_does_not_pass() {
        let text = format!("\u{feff}data: {LIST}\nid: 1\nretry: 5\nstrange: x\n\n");
        let mut events = Events::new(1000).push(text.as_bytes()).unwrap();
        let shaped = events.remove(0).shaped(|message| message);
        let text = String::from_utf8(shaped).unwrap();
        assert!(text.starts_with("id: 1\nretry: 5\n"), "{text:?}");
        assert!(!text.contains("tools"), "{text:?}");
    }

    #[test]
    fn an_event_without_end_is_refused() {
        assert_eq!(Events::new(10).push(b"data: 12345678"), Err(TooLong));
    }
}
