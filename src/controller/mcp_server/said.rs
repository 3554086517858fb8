//! What a gate says that its server said, as the status may show it: bounded, and in printable characters; pure.
//!
//! The gate has done the same already. A pod that was altered could have another gate.

use crate::api::mcp_server::{ServerInfoStatus, ToolsStatus};
use crate::mcp::pin::printable;
use crate::seal::wire::Mcp;

const LONGEST: usize = 128;
const LONGEST_DRIFT: usize = 512;

/// What the server says it is.
#[must_use]
pub fn server_info(mcp: &Mcp) -> Option<ServerInfoStatus> {
    let server = mcp.server.as_ref()?;
    Some(ServerInfoStatus {
        name: printable(&server.name, LONGEST),
        version: printable(&server.version, LONGEST),
        protocol_version: printable(&server.protocol_version, LONGEST),
    })
}

/// Its list of tools, where the hash is one.
#[must_use]
pub fn tools(mcp: &Mcp) -> Option<ToolsStatus> {
    let tools = mcp.tools.as_ref()?;
    let digits = tools.hash.strip_prefix("sha256:")?;
    let lower_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    (digits.len() == 64 && digits.bytes().all(lower_hex)).then(|| ToolsStatus {
        count: tools.count,
        hash: tools.hash.clone(),
    })
}

/// What is not as the pin says.
#[must_use]
pub fn drift(mcp: &Mcp) -> String {
    printable(&mcp.drift, LONGEST_DRIFT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::wire::{ServerInfo, Tools};

    fn mcp(name: &str, hash: &str) -> Mcp {
        Mcp {
            server: Some(ServerInfo {
                name: name.to_owned(),
                ..ServerInfo::default()
            }),
            tools: Some(Tools {
                count: 3,
                hash: hash.to_owned(),
            }),
            ..Mcp::default()
        }
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        let told = server_info(&mcp(
            &format!("a\u{1b}[31m\n\u{202e}\u{2060}{}", "ä".repeat(500)),
            "",
        ));
        let name = told.unwrap().name;
        let begin = r"a\u{1b}[31m\u{a}\u{202e}\u{2060}\u{e4}";
        assert!(
            name.starts_with(begin) && !name.contains('\u{2060}'),
            "{name}"
        );
        assert_eq!(name.chars().count(), LONGEST);
    }

    #[rstest::rstest]
    #[case::a_hash(format!("sha256:{}", "0a".repeat(32)), true)]
    #[case::short("sha256:0a".to_owned(), false)]
    #[case::upper_case(format!("sha256:{}", "0A".repeat(32)), false)]
    #[case::other("md5:00".to_owned(), false)]
    fn only_hashes_are_shown(#[case] hash: String, #[case] shown: bool) {
        assert_eq!(tools(&mcp("a", &hash)).is_some(), shown);
    }
}
