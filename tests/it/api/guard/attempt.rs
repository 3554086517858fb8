//! One request of one user, as a dry run.

use std::fmt;

use kube::Client;
use serde_json::Value;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// Has the built-in role `edit` in the namespaces.
    Tenant,
    /// Has `edit`, and rights that a platform should not give: status, ephemeral containers, our own kinds.
    Lead,
    /// A service account of the tenant's namespace, with `edit`.
    Pipeline,
    /// A service account of another namespace with the lead's rights, as a network plugin has it.
    Plugin,
    /// The kubelet of a node.
    Kubelet,
    /// kube-scheduler.
    Scheduler,
    /// A controller of kube-system.
    Controller(&'static str),
    /// Sealroom's operator, with the rights of the chart.
    Operator,
    /// A member of system:masters.
    Admin,
}

impl Who {
    fn user(self) -> String {
        match self {
            Self::Tenant => "tenant".to_owned(),
            Self::Lead => "lead".to_owned(),
            Self::Pipeline => "system:serviceaccount:team-a:pipeline".to_owned(),
            Self::Plugin => "system:serviceaccount:network:plugin".to_owned(),
            Self::Kubelet => "system:node:node-1".to_owned(),
            Self::Scheduler => "system:kube-scheduler".to_owned(),
            Self::Controller(name) => format!("system:serviceaccount:kube-system:{name}"),
            Self::Operator => "system:serviceaccount:sealroom-system:sealroom-operator".to_owned(),
            Self::Admin => "admin".to_owned(),
        }
    }

    fn groups(self) -> Vec<String> {
        let user = self.user();
        let mut groups = vec!["system:authenticated".to_owned()];
        if let Some(rest) = user.strip_prefix("system:serviceaccount:") {
            let namespace = rest.split(':').next().unwrap();
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        match self {
            Self::Kubelet => groups.push("system:nodes".to_owned()),
            Self::Admin => groups.push("system:masters".to_owned()),
            _ => {}
        }
        groups
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Call {
    method: &'static str,
    path: String,
    body: Option<(&'static str, Value)>,
}

impl Call {
    fn new(method: &'static str, path: &str, body: Option<(&'static str, Value)>) -> Self {
        let path = path.to_owned();
        Self { method, path, body }
    }

    /// Makes an object.
    pub fn create(path: &str, object: Value) -> Self {
        Self::new("POST", path, Some(("application/json", object)))
    }

    /// Writes a whole object.
    pub fn replace(path: &str, object: Value) -> Self {
        Self::new("PUT", path, Some(("application/json", object)))
    }

    /// A JSON merge patch (RFC 7386).
    pub fn merge(path: &str, patch: Value) -> Self {
        Self::new("PATCH", path, Some(("application/merge-patch+json", patch)))
    }

    /// A strategic merge patch, as kubectl and the kubelet send it.
    pub fn strategic(path: &str, patch: Value) -> Self {
        let kind = "application/strategic-merge-patch+json";
        Self::new("PATCH", path, Some((kind, patch)))
    }

    /// Deletes an object, or all of a kind.
    pub fn delete(path: &str) -> Self {
        Self::new("DELETE", path, None)
    }

    /// Opens a connection through the API server.
    pub fn connect(path: &str) -> Self {
        Self::new("POST", path, None)
    }
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who asks.
    pub who: Who,
    /// In words.
    pub does: &'static str,
    call: Call,
    /// What the refusal says, if it is one.
    pub says: &'static str,
}

impl From<(Who, &'static str, Call, &'static str)> for Attempt {
    fn from((who, does, call, says): (Who, &'static str, Call, &'static str)) -> Self {
        Self {
            who,
            does,
            call,
            says,
        }
    }
}

impl From<(Who, &'static str, Call)> for Attempt {
    fn from((who, does, call): (Who, &'static str, Call)) -> Self {
        Self {
            who,
            does,
            call,
            says: "",
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.who, self.does)
    }
}

impl Attempt {
    /// Whether it opens a connection: that has no dry run.
    pub fn connects(&self) -> bool {
        self.call.method == "POST" && self.call.body.is_none()
    }

    /// Asks; an error is what the API server says.
    pub async fn send(&self, client: &Client) -> Result<(), String> {
        let dry = if self.connects() { "" } else { "?dryRun=All" };
        let mut request = http::Request::builder()
            .method(self.call.method)
            .uri(format!("{}{dry}", self.call.path))
            .header("Impersonate-User", self.who.user());
        for group in self.who.groups() {
            request = request.header("Impersonate-Group", group);
        }
        let body = self.call.body.as_ref();
        if let Some((kind, _)) = body {
            request = request.header("Content-Type", *kind);
        }
        let body = body.map(|(_, body)| body.to_string().into_bytes());
        let request = request.body(body.unwrap_or_default()).unwrap();
        match client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => Err(error.to_string()),
        }
    }
}
