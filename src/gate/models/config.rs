//! One model as the gate's flag writes it: `name=assistant,port=11500,url=http://10.96.3.7:8080/v1[,key=FILE]`, with TLS
//! `url=https://…,host=NAME,ca=FILE`, and with `watch=connect` where nobody else sees whether it is there; pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What metrics and logs call it.
    pub name: String,
    /// The port of 127.0.0.1 where it is offered.
    pub port: u16,
    /// Where it is: an address, since the pod has no DNS.
    pub at: SocketAddr,
    /// The base path of the API there, without a slash at its end.
    pub path: String,
    /// Of a model that serves TLS.
    pub tls: Option<TlsConfig>,
    /// The file with its key.
    pub key: Option<PathBuf>,
    /// Whether it is tried again and again if somebody takes connections there.
    pub watch: bool,
}

/// How a model's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The name that must be in it.
    pub host: String,
    /// The file with the certificates of the CA, in PEM.
    pub ca: PathBuf,
}

/// Why a flag is no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A part is not `word=value` with a known word.
    #[error("{0:?} is none of name=, port=, url=, key=, host=, ca= and watch=")]
    Part(String),
    /// A word twice.
    #[error("{0}= is written twice")]
    Twice(&'static str),
    /// A word is missing.
    #[error("{0}= is missing")]
    Missing(&'static str),
    /// The port is none.
    #[error("port={0}: write a number from 1 to 65535")]
    Port(String),
    /// The URL is none that can be dialled.
    #[error("url={0}: write http or https, an address with a port, and a path")]
    Url(String),
    /// Only one half of what TLS needs, or TLS without it.
    #[error("host= and ca= go with an https URL, both of them")]
    Tls,
    /// Watched in a way that is none.
    #[error("watch={0}: write connect")]
    Watch(String),
}

#[derive(Default)]
struct Parts {
    name: Option<String>,
    port: Option<String>,
    url: Option<String>,
    key: Option<String>,
    host: Option<String>,
    ca: Option<String>,
    watch: Option<String>,
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut parts = Parts::default();
        for part in text.split(',') {
            let unknown = || ConfigError::Part(part.to_owned());
            let (word, value) = part.split_once('=').ok_or_else(unknown)?;
            let (word, slot) = match word {
                "name" => ("name", &mut parts.name),
                "port" => ("port", &mut parts.port),
                "url" => ("url", &mut parts.url),
                "key" => ("key", &mut parts.key),
                "host" => ("host", &mut parts.host),
                "ca" => ("ca", &mut parts.ca),
                "watch" => ("watch", &mut parts.watch),
                _ => return Err(unknown()),
            };
            if value.is_empty() {
                return Err(ConfigError::Missing(word));
            }
            if slot.replace(value.to_owned()).is_some() {
                return Err(ConfigError::Twice(word));
            }
        }
        let name = parts.name.ok_or(ConfigError::Missing("name"))?;
        let port = parts.port.ok_or(ConfigError::Missing("port"))?;
        let number = port.parse().ok().filter(|number| *number != 0);
        let url = parts.url.ok_or(ConfigError::Missing("url"))?;
        let (https, at, path) = dialled(&url).ok_or_else(|| ConfigError::Url(url.clone()))?;
        let tls = match (https, parts.host, parts.ca) {
            (false, None, None) => None,
            (true, Some(host), Some(ca)) => Some(TlsConfig {
                host,
                ca: ca.into(),
            }),
            _ => return Err(ConfigError::Tls),
        };
        let watch = match parts.watch.as_deref() {
            None => false,
            Some("connect") => true,
            Some(other) => return Err(ConfigError::Watch(other.to_owned())),
        };
        Ok(Self {
            name,
            port: number.ok_or(ConfigError::Port(port))?,
            at,
            path,
            tls,
            key: parts.key.map(PathBuf::from),
            watch,
        })
    }
}

/// Whether it is TLS, the address, and the path without a slash at its end.
fn dialled(url: &str) -> Option<(bool, SocketAddr, String)> {
    let uri: Uri = url.parse().ok()?;
    let https = match uri.scheme_str()? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    // An address and a port, and no name: there is nobody to ask about one.
    let at = uri.authority()?.as_str().parse().ok()?;
    let path = uri.path().trim_end_matches('/').to_owned();
    (uri.query().is_none()).then_some((https, at, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read() {
        let plain: Config = "name=a,port=11500,url=http://10.96.3.7:8080/v1,key=/k/0/value"
            .parse()
            .unwrap();
        assert_eq!(plain.at, "10.96.3.7:8080".parse().unwrap());
        assert_eq!((plain.port, plain.path.as_str()), (11_500, "/v1"));
        assert_eq!(plain.key, Some("/k/0/value".into()));
        assert_eq!((plain.tls, plain.watch), (None, false));
        let watched = "name=a,port=1,url=http://10.0.0.1:1/v1,watch=connect";
        assert!(watched.parse::<Config>().unwrap().watch);
        let tls: Config = "name=a,port=1,url=https://[fd00::7]:80/openai/v1/,host=a.b.svc,ca=/ca"
            .parse()
            .unwrap();
        assert_eq!(tls.at, "[fd00::7]:80".parse().unwrap());
        assert_eq!(tls.path, "/openai/v1");
        assert_eq!(tls.tls.unwrap().host, "a.b.svc");
    }

    #[rstest::rstest]
    #[case::nothing("", "none of name=")]
    #[case::unknown("name=a,port=1,url=http://10.0.0.1:1/v1,keys=/k", "keys=/k")]
    #[case::no_name("port=1,url=http://10.0.0.1:1/v1", "name= is missing")]
    #[case::empty_name("name=,port=1,url=http://10.0.0.1:1/v1", "name= is missing")]
    #[case::twice(
        "name=a,name=b,port=1,url=http://10.0.0.1:1/v1",
        "name= is written twice"
    )]
    #[case::no_port("name=a,url=http://10.0.0.1:1/v1", "port= is missing")]
    #[case::port_zero("name=a,port=0,url=http://10.0.0.1:1/v1", "port=0")]
    #[case::large_port("name=a,port=65536,url=http://10.0.0.1:1/v1", "port=65536")]
    #[case::a_name("name=a,port=1,url=http://model:8080/v1", "url=http://model")]
    #[case::no_url_port("name=a,port=1,url=http://10.0.0.1/v1", "an address with a port")]
    #[case::scheme("name=a,port=1,url=ftp://10.0.0.1:1/v1", "http or https")]
    #[case::user("name=a,port=1,url=http://u@10.0.0.1:1/v1", "an address with a port")]
    #[case::query("name=a,port=1,url=http://10.0.0.1:1/v1?a=b", "url=")]
    #[case::tls_alone("name=a,port=1,url=https://10.0.0.1:1/v1", "host= and ca=")]
    #[case::ca_alone("name=a,port=1,url=https://10.0.0.1:1/v1,ca=/c", "host= and ca=")]
    #[case::ca_in_the_clear("name=a,port=1,url=http://10.0.0.1:1/v1,host=a,ca=/c", "host= and ca=")]
    #[case::watched("name=a,port=1,url=http://10.0.0.1:1/v1,watch=true", "write connect")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] says: &str) {
        let error = text.parse::<Config>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
