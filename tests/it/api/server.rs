//! A kube-apiserver with its etcd, on loopback, shared by the tests that run at the same time.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, ResourceExt};

use crate::ports::free_port;

/// The running pair. Dropping the last handle ends both.
pub struct Server {
    children: Vec<Child>,
    dir: tempfile::TempDir,
    kubeconfig: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// Where the API server and etcd are, or nothing where nobody named them.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let programs = (
        std::env::var_os("KUBE_APISERVER_BIN"),
        std::env::var_os("ETCD_BIN"),
    );
    let (Some(apiserver), Some(etcd)) = programs else {
        let required = std::env::var_os("SEALROOM_REQUIRE_APISERVER").is_some_and(|v| v == "1");
        assert!(
            !required,
            "KUBE_APISERVER_BIN and ETCD_BIN must name the programs"
        );
        eprintln!("no API server: KUBE_APISERVER_BIN and ETCD_BIN are not set");
        return None;
    };
    Some((apiserver.into(), etcd.into()))
}

/// The shared server with our CRDs, or nothing where its programs are not named.
pub async fn shared() -> Option<Arc<Server>> {
    let (apiserver, etcd) = programs()?;
    let server = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::start(&apiserver, &etcd, "AlwaysAllow"));
            *shared = Arc::downgrade(&server);
            server
        })
    };
    server.ready().await;
    Some(server)
}

/// A server of the test's own on which users have the rights that roles give them.
pub async fn with_rights() -> Option<Server> {
    let (apiserver, etcd) = programs()?;
    let server = Server::start(&apiserver, &etcd, "RBAC");
    server.ready().await;
    Some(server)
}

impl Server {
    fn start(apiserver: &Path, etcd: &Path, authorization: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let [client, peer, secure] = [free_port().port(), free_port().port(), free_port().port()];
        let log = |name: &str| Stdio::from(std::fs::File::create(path(name)).unwrap());
        let etcd_url = format!("http://127.0.0.1:{client}");
        let etcd = Command::new(etcd)
            .args(["--data-dir", &text(path("etcd")), "--unsafe-no-fsync"])
            .args([
                "--listen-client-urls",
                &etcd_url,
                "--advertise-client-urls",
                &etcd_url,
            ])
            .args(["--listen-peer-urls", &format!("http://127.0.0.1:{peer}")])
            .stdout(Stdio::null())
            .stderr(log("etcd.log"))
            .spawn()
            .unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(path("sa.key"), key.serialize_pem()).unwrap();
        std::fs::write(path("sa.pub"), key.public_key_pem()).unwrap();
        std::fs::write(
            path("tokens.csv"),
            "test-token,tester,1,\"system:masters\"\n",
        )
        .unwrap();
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: Metadata }]\n";
        std::fs::write(path("audit.yaml"), policy).unwrap();
        let flags = [
            ("etcd-servers", etcd_url),
            ("cert-dir", text(path("certs"))),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", secure.to_string()),
            ("token-auth-file", text(path("tokens.csv"))),
            ("authorization-mode", authorization.to_owned()),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".to_owned(),
            ),
            ("service-account-key-file", text(path("sa.pub"))),
            ("service-account-signing-key-file", text(path("sa.key"))),
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ("audit-policy-file", text(path("audit.yaml"))),
            ("audit-log-path", text(path("audit.log"))),
        ];
        let apiserver = Command::new(apiserver)
            .args(flags.map(|(name, value)| format!("--{name}={value}")))
            .stdout(Stdio::null())
            .stderr(log("apiserver.log"))
            .spawn()
            .unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{ name: test, cluster: {{ server: 'https://127.0.0.1:{secure}', insecure-skip-tls-verify: true }} }}]\n\
             users: [{{ name: test, user: {{ token: test-token }} }}]\n\
             contexts: [{{ name: test, context: {{ cluster: test, user: test }} }}]\n"
        );
        std::fs::write(path("kubeconfig"), &kubeconfig).unwrap();
        Self {
            children: vec![etcd, apiserver],
            dir,
            kubeconfig,
        }
    }

    /// A client of its own runtime.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config().await).unwrap()
    }

    /// One that asks once, whatever the answer.
    pub async fn client_without_retries(&self) -> Client {
        let mut config = self.config().await;
        config.default_retry = false;
        Client::try_from(config).unwrap()
    }

    async fn config(&self) -> kube::Config {
        let parsed = Kubeconfig::from_yaml(&self.kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        kube::Config::from_custom_kubeconfig(parsed, &options)
            .await
            .unwrap()
    }

    /// The file that `KUBECONFIG` may name.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The requests that were finished by a user agent, as `verb resource/subresource namespace/name`.
    pub fn requests(&self, agent: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.path().join("audit.log")).unwrap_or_default();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .filter(|event| {
                event["userAgent"]
                    .as_str()
                    .is_some_and(|a| a.starts_with(agent))
            })
            .map(|event| {
                let object = &event["objectRef"];
                let text = |key: &str| object[key].as_str().unwrap_or("").to_owned();
                let sub = text("subresource");
                let slash = if sub.is_empty() { "" } else { "/" };
                let verb = event["verb"].as_str().unwrap_or("");
                format!(
                    "{verb} {}{slash}{sub} {}/{}",
                    text("resource"),
                    text("namespace"),
                    text("name")
                )
            })
            .collect()
    }

    async fn ready(&self) {
        // From `/livez` on a cold disk with busy cores this takes ten seconds and more.
        let deadline = Instant::now() + Duration::from_secs(120);
        let crds: Vec<CustomResourceDefinition> = sealroom::api::crds();
        loop {
            let client = self.client().await;
            let api: Api<CustomResourceDefinition> = Api::all(client);
            let mut established = 0;
            for crd in &crds {
                let params = PatchParams::apply("test").force();
                match api
                    .patch(&crd.name_any(), &params, &Patch::Apply(crd))
                    .await
                {
                    Ok(there) => {
                        let conditions =
                            there.status.and_then(|s| s.conditions).unwrap_or_default();
                        let holds = |c: &str| {
                            conditions
                                .iter()
                                .any(|x| x.type_ == c && x.status == "True")
                        };
                        assert!(!holds("NonStructuralSchema"), "{conditions:?}");
                        established += usize::from(holds("Established"));
                    }
                    Err(kube::Error::Api(status)) if status.is_invalid() => panic!("{status}"),
                    Err(_) => {}
                }
            }
            if established == crds.len() {
                return;
            }
            let log = std::fs::read_to_string(self.dir.path().join("apiserver.log"));
            let log = log.unwrap_or_default();
            let over = Instant::now() > deadline || log.contains("\"command failed\"");
            assert!(!over, "the API server did not come up:\n{log}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// A namespace of the test's own.
pub async fn namespace(client: &Client, name: &str) {
    use k8s_openapi::api::core::v1::Namespace;
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    let api: Api<Namespace> = Api::all(client.clone());
    api.create(&Default::default(), &namespace).await.unwrap();
}
