//! Flags of `sealroom gate` about the models that the pod's program may ask.

use crate::gate::models::Config;

/// The models.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A model that the pod's program may ask at a port of 127.0.0.1, such as
    /// name=assistant,port=11500,url=http://10.96.3.7:8080/v1,key=FILE; with TLS also host=NAME,ca=FILE. With
    /// watch=connect the gate reports when nobody takes connections there. May be given several times
    #[arg(long, value_name = "MODEL")]
    mcp_model: Vec<Config>,
}

impl ModelArgs {
    /// As the gate takes them.
    #[must_use]
    pub fn config(self) -> Vec<Config> {
        self.mcp_model
    }
}
