//! Registries that lie, break and stall: a clear reason, no wrong byte under the final name.

use std::time::{Duration, Instant};

use sealroom::gguf::Kind;
use sealroom::pull::Reason;

use super::registry::{Body, Content, Reply, Request, Server};
use super::{Place, config, pull, sample};

/// How a registry misbehaves.
type Answer = fn(&Content, &Request) -> Reply;

fn blob(content: &Content, request: &Request, change: impl FnOnce(Reply) -> Reply) -> Reply {
    let honest = content.honest(request);
    if request.is_blob() {
        change(honest)
    } else {
        honest
    }
}

/// Breaks the first answer for a blob half-way, then does as told for the rest.
fn resumed(content: &Content, request: &Request, change: impl FnOnce(Reply) -> Reply) -> Reply {
    blob(content, request, |honest| match request.nth_blob {
        0 => honest.body(|bytes| Body::Cut(bytes[..bytes.len() / 2].to_vec())),
        _ => change(honest),
    })
}

fn whole(content: &Content) -> Reply {
    content.honest(&Request {
        path: format!("/v2/models/m/blobs/{}", sample::digest(&content.blob)),
        authorization: None,
        range: None,
        nth_blob: 0,
    })
}

fn flip(mut bytes: Vec<u8>) -> Body {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Body::Whole(bytes)
}

/// Ends well: the trouble is of the kind that a client gets over.
#[rstest::rstest]
#[case::broken_once(|c: &Content, r: &Request| resumed(c, r, |honest| honest), 2)]
#[case::two_hundred_on_a_range(|c: &Content, r: &Request| resumed(c, r, |_| whole(c)), 2)]
#[case::stalled_once(|c: &Content, r: &Request| blob(c, r, |honest| match r.nth_blob {
    0 => honest.body(|b| Body::Stall(b[..b.len() / 3].to_vec())),
    _ => honest,
}), 2)]
#[case::busy(|c: &Content, r: &Request| blob(c, r, |honest| match r.nth_blob {
    0 => Reply::status(503),
    1 => Reply::status(429),
    _ => honest,
}), 3)]
#[case::unknown_length(|c: &Content, r: &Request| blob(c, r, |honest| match r.nth_blob {
    // Without a length the connection's end is the body's; it must not be taken for all there is.
    0 => honest.without("content-length").body(|b| Body::Cut(b[..b.len() / 2].to_vec())),
    _ => honest,
}), 2)]
#[case::star_range(|c: &Content, r: &Request| resumed(c, r, |honest| {
    let (first, last) = r.range.unwrap();
    honest.with("content-range", format!("bytes {first}-{last}/*"))
}), 2)]
fn survives(#[case] answer: Answer, #[case] requests: usize) {
    let server = Server::start(Content::model(), answer);
    let place = Place::new();
    pull(&config(&server, &place.dir())).unwrap();
    assert_eq!(place.model(), Some(sample::gguf()));
    assert_eq!(server.blob_requests().len(), requests);
}

/// Ends with a reason, and leaves nothing that could be taken for the model.
#[rstest::rstest]
#[case::wrong_content_range(|c: &Content, r: &Request| resumed(c, r, |honest| {
    let size = c.blob.len();
    honest.with("content-range", format!("bytes 0-{}/{size}", size - 1))
}), Reason::InvalidAnswer)]
#[case::no_content_range(|c: &Content, r: &Request| resumed(c, r, |honest| honest.without("content-range")), Reason::InvalidAnswer)]
#[case::part_without_asking(|c: &Content, r: &Request| blob(c, r, |honest| Reply { status: 206, ..honest }), Reason::InvalidAnswer)]
#[case::encoded(|c: &Content, r: &Request| blob(c, r, |honest| honest.with("content-encoding", "gzip")), Reason::InvalidAnswer)]
#[case::short_body(|c: &Content, r: &Request| blob(c, r, |honest| {
    let half = c.blob.len() / 2;
    honest.with("content-length", half.to_string()).body(|b| Body::Whole(b[..half].to_vec()))
}), Reason::Truncated)]
#[case::nothing_after_half(|c: &Content, r: &Request| resumed(c, r, |_| Reply::status(416)), Reason::Truncated)]
#[case::long_body(|c: &Content, r: &Request| blob(c, r, |honest| {
    let longer = c.blob.len() + 1;
    honest.with("content-length", longer.to_string()).body(|mut b| { b.push(0); Body::Whole(b) })
}), Reason::DigestMismatch)]
#[case::longer_whole_than_the_manifest_says(|c: &Content, r: &Request| resumed(c, r, |honest| {
    let (first, last) = r.range.unwrap();
    honest.with("content-range", format!("bytes {first}-{last}/{}", c.blob.len() + 1))
}), Reason::DigestMismatch)]
#[case::endless_body(|c: &Content, r: &Request| blob(c, r, |honest| honest.without("content-length").body(Body::Endless)), Reason::DigestMismatch)]
#[case::endless_manifest(|c: &Content, r: &Request| if r.is_blob() { c.honest(r) } else {
    c.honest(r).without("content-length").body(Body::Endless)
}, Reason::InvalidAnswer)]
#[case::other_manifest(|c: &Content, r: &Request| if r.is_blob() { c.honest(r) } else { c.honest(r).body(flip) }, Reason::DigestMismatch)]
#[case::bit_flip(|c: &Content, r: &Request| blob(c, r, |honest| honest.body(flip)), Reason::DigestMismatch)]
#[case::stalled(|c: &Content, r: &Request| blob(c, r, |honest| honest.body(|_| Body::Stall(vec![]))), Reason::Unreachable)]
#[case::always_busy(|_: &Content, _: &Request| Reply::status(503), Reason::Unreachable)]
#[case::always_cut(|c: &Content, r: &Request| blob(c, r, |honest| honest.body(|_| Body::Cut(vec![]))), Reason::Unreachable)]
#[case::no_manifest(|_: &Content, _: &Request| Reply::status(404), Reason::NotFound)]
#[case::no_blob(|c: &Content, r: &Request| blob(c, r, |_| Reply::status(404)), Reason::NotFound)]
#[case::redirect_in_a_circle(|_: &Content, r: &Request| Reply::status(307).with("location", r.path.clone()), Reason::InvalidAnswer)]
#[case::redirect_to_plain_http(|_: &Content, _: &Request| Reply::status(307).with("location", "http://registry.test/x"), Reason::RegistryNotDeclared)]
fn ends(#[case] answer: Answer, #[case] reason: Reason) {
    let server = Server::start(Content::model(), answer);
    let place = Place::new();
    let error = pull(&config(&server, &place.dir())).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert!(error.to_string().starts_with("failed to "), "{error}");
    assert_eq!(place.model(), None);
    assert!(!place.dir().join("sealroom.json").exists());
}

/// What the registry holds is the trouble, not how it answers.
#[rstest::rstest]
#[case::not_gguf(Content::of(vec![b'P'; 100_000]), Reason::NotGGUF)]
#[case::truncated_tensors(Content::of(sample::gguf()[..2_000_000].to_vec()), Reason::Truncated)]
#[case::truncated_header(Content::of(sample::gguf()[..200].to_vec()), Reason::Truncated)]
#[case::size_says_more(lies(1), Reason::Truncated)]
#[case::size_says_less(lies(-1), Reason::DigestMismatch)]
#[case::title_is_a_path(titled("../m.gguf"), Reason::InvalidManifest)]
#[case::title_is_another_format(titled("m.safetensors"), Reason::UnsupportedFormat)]
fn refuses(#[case] content: Content, #[case] reason: Reason, #[values(true, false)] plan: bool) {
    let server = Server::honest(content);
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    if plan {
        config.to = None;
    }
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    assert_eq!(place.model(), None);
    let leftover = walk(&place.dir()).into_iter().map(|meta| meta.len()).max();
    assert!(
        leftover.unwrap_or(0) < 1_000,
        "a refused file keeps no space"
    );
}

/// What is asked for decides: by the plan, before a byte of the weights.
#[rstest::rstest]
#[case::model(sample::gguf(), Kind::Model)]
#[case::adapter(sample::adapter(), Kind::Adapter)]
#[case::projector(sample::projector(), Kind::Projector)]
fn a_file_is_of_the_kind_that_is_asked_for(
    #[case] bytes: Vec<u8>,
    #[case] is: Kind,
    #[values(Kind::Model, Kind::Adapter, Kind::Projector)] wanted: Kind,
    #[values(true, false)] plan: bool,
) {
    let server = Server::honest(Content::of(bytes));
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config.kind = wanted;
    if plan {
        config.to = None;
    }
    let result = pull(&config);
    if is != wanted {
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Reason::WrongKind, "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("as {wanted}: it is")), "{text}");
        assert_eq!(place.model(), None);
        return;
    }
    let artifact = result.unwrap();
    assert_eq!(artifact.kind, is);
    assert_eq!(artifact.geometry.is_some(), is == Kind::Model);
    if plan {
        return;
    }
    // The finished directory is this kind's and no other's.
    assert_eq!(pull(&config).unwrap(), artifact);
    config.kind = if is == Kind::Model {
        Kind::Adapter
    } else {
        Kind::Model
    };
    assert_eq!(pull(&config).unwrap_err().reason(), Reason::VolumeInUse);
}

fn walk(dir: &std::path::Path) -> Vec<std::fs::Metadata> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(meta);
        }
    }
    found
}

fn lies(by: i64) -> Content {
    let blob = sample::gguf();
    let size = u64::try_from(i64::try_from(blob.len()).unwrap() + by).unwrap();
    let manifest = sample::manifest(&sample::digest(&blob), size, "m.gguf");
    Content { manifest, blob }
}

fn titled(title: &str) -> Content {
    let blob = sample::gguf();
    let manifest = sample::manifest(&sample::digest(&blob), blob.len() as u64, title);
    Content { manifest, blob }
}

#[test]
fn goes_to_no_other_host() {
    let foreign = Server::honest(Content::model());
    let port = foreign.address.port();
    let server = Server::start(Content::model(), move |content, request| {
        blob(content, request, |_| {
            Reply::status(307).with(
                "location",
                format!("https://other.test:{port}{}", request.path),
            )
        })
    });
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config
        .resolve
        .insert("other.test".to_owned(), vec![foreign.address.ip()]);
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), Reason::RegistryNotDeclared, "{error}");
    assert!(error.to_string().contains("other.test"), "{error}");
    assert_eq!(foreign.connections(), 0);
}

#[test]
fn dials_declared_addresses_only() {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config.resolve = [("other.test".to_owned(), vec![server.address.ip()])].into();
    let error = pull(&config).unwrap_err();
    assert_eq!(error.reason(), Reason::RegistryNotDeclared, "{error}");
    config.resolve.clear();
    config.allow.clear();
    assert_eq!(
        pull(&config).unwrap_err().reason(),
        Reason::RegistryNotDeclared
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn waits_as_long_as_it_is_asked_to() {
    let server = Server::start(Content::model(), |content, request| {
        blob(content, request, |honest| match request.nth_blob {
            0 => Reply::status(429).with("retry-after", "1"),
            _ => honest,
        })
    });
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    // On a busy machine silence is no fault that is tried again at once.
    config.timing.stall = Duration::from_secs(30);
    let begun = Instant::now();
    pull(&config).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn resumes_at_the_byte_where_it_broke() {
    let server = Server::start(Content::model(), |c, r| resumed(c, r, |honest| honest));
    let place = Place::new();
    pull(&config(&server, &place.dir())).unwrap();
    let size = sample::gguf().len() as u64;
    assert_eq!(server.blob_requests()[1].range, Some((size / 2, size - 1)));
    assert_eq!(server.sent(), size);
}

#[test]
fn plans_without_the_bytes() {
    let server = Server::honest(Content::model());
    let place = Place::new();
    let mut config = config(&server, &place.dir());
    config.max_bytes = Some(sample::gguf().len() as u64);
    let pulled = pull(&config).unwrap();
    config.to = None;
    assert_eq!(pull(&config).unwrap(), pulled);
    assert_eq!(pulled.architecture, "llama");
    assert_eq!(pulled.license.as_deref(), Some("apache-2.0"));
    assert_eq!(pulled.bytes, sample::gguf().len() as u64);
    assert_eq!(pulled.geometry.unwrap().layer_count(), 2);
    config.max_bytes = Some(1_000);
    assert_eq!(pull(&config).unwrap_err().reason(), Reason::TooLarge);
}
