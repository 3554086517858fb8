//! A list of tools that comes page by page: pure.

use super::message::Message;
use super::object::Object;
use super::pin::{Inventory, NoInventory};

/// Most pages of one list.
const MAX: usize = 64;

/// What has come of it so far.
#[derive(Debug, Default)]
pub struct Pages {
    inventory: Inventory,
    cursor: Option<String>,
    taken: usize,
}

impl Pages {
    /// The parameters of the next question.
    #[must_use]
    pub fn params(&self) -> Object {
        match &self.cursor {
            Some(cursor) => Object::default().with("cursor", cursor),
            None => Object::default(),
        }
    }

    /// Takes the answer to it; gives the whole list, or why there is none, when nothing more is to be asked.
    pub fn take(&mut self, said: &Message) -> Option<Result<Inventory, NoInventory>> {
        let none = |why| Some(Err(NoInventory::Form(why)));
        if said.body.has("error") {
            return Some(Err(NoInventory::Refused));
        }
        let result = said.body.object("result").unwrap_or_default();
        let Some(tools) = result.get("tools") else {
            return none("there is no list");
        };
        if let Err(why) = self.inventory.add(tools.get()) {
            return Some(Err(why));
        }
        self.cursor = result.text("nextCursor");
        self.taken += 1;
        match self.cursor {
            None => Some(Ok(std::mem::take(&mut self.inventory))),
            Some(_) if self.taken >= MAX => none("there are too many pages"),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn pages_are_one_list() {
        let mut pages = Pages::default();
        assert!(pages.params().is_empty());
        let first = pages.take(&said(r#"{"tools":[{"name":"a"}],"nextCursor":"c"}"#));
        assert!(first.is_none());
        assert_eq!(pages.params().text("cursor").as_deref(), Some("c"));
        let all = pages.take(&said(r#"{"tools":[{"name":"b"}]}"#));
        assert_eq!(all.unwrap().unwrap().len(), 2);
    }

    #[test]
    fn pages_have_an_end() {
        let mut pages = Pages::default();
        let more = said(r#"{"tools":[],"nextCursor":"c"}"#);
        let taken = (1..).find(|_| pages.take(&more).is_some());
        assert_eq!(taken, Some(MAX));
    }

    #[rstest::rstest]
    #[case(r#"{"x":1}"#)]
    #[case("7")]
    #[case(r#"{"tools":7}"#)]
    #[case(r#"{"tools":[],"Tools":[]}"#)]
    fn what_is_no_list_ends_it(#[case] result: &str) {
        let list = Pages::default().take(&said(result)).unwrap();
        assert!(matches!(list, Err(NoInventory::Form(_))), "{list:?}");
    }

    /// Also in the middle of the pages: where tools change meanwhile, a cursor may be unknown.
    #[test]
    fn an_error_is_no_list_of_other_tools() {
        let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"later"}}"#;
        let error = Message::parse(text.as_bytes()).unwrap();
        let mut pages = Pages::default();
        assert_eq!(pages.take(&error), Some(Err(NoInventory::Refused)));
        let more = pages.take(&said(r#"{"tools":[],"nextCursor":"c"}"#));
        assert_eq!(more, None);
        assert_eq!(pages.take(&error), Some(Err(NoInventory::Refused)));
    }
}
