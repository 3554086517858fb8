//! What a gate says of the MCP server behind it.

use serde::{Deserialize, Serialize};

/// What the gate of an MCP server knows about it. Every text is the server's own, shortened and without control
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mcp {
    /// What the server says it is, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInfo>,
    /// Its tools as it lists them, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,
    /// Whether they are those of the pin.
    #[serde(default)]
    pub pin: Pin,
    /// What is not as the pin says, at most 512 characters; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub drift: String,
}

/// `serverInfo` of the Model Context Protocol, each text at most 128 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol_version: String,
}

/// A server's list of tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// How many there are.
    pub count: u32,
    /// `sha256:` and the hash of their canonical form.
    pub hash: String,
}

/// How a server's tools compare with the pin; the order is from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pin {
    /// They are those of the pin, or there is no pin and they are known.
    Ok,
    /// The server has not listed them yet.
    #[default]
    Unknown,
    /// They are others.
    Drift,
}
