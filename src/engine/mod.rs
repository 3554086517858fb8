//! The engines: what is particular to each of them, as pure functions.
//!
//! An engine is a folder with one [`Particulars`], its `mod` line and its line in the list below. The operator
//! builds its container from it, launch lays its store out, locks and starts it by it, the gate asks and passes
//! by it; none of them knows an engine's name otherwise. Nothing here has a socket, a clock or a Kubernetes type.

mod choice;
mod facts;
mod route;
mod store;
mod task;
mod tuning;

pub mod llama_cpp;
pub mod ollama;

pub use choice::{FlashAttention, Mode, Pooling, Printed};
pub use facts::{Adapter, Health, Listens, Place, Question, Settings, Sockets, Tokens};
pub use route::Route;
pub use store::{Entry, LayoutError, Weights};
pub use task::Task;
pub use tuning::Tuning;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gguf::ChatFamily;

macro_rules! engines {
    ($($(#[$doc:meta])* $name:ident $member:literal => $particulars:path,)+) => {
        /// The engines.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
        )]
        #[value(rename_all = "PascalCase")]
        pub enum Engine { $($(#[$doc])* $name,)+ }

        impl Engine {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As the object and the flags write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The member that holds its settings in the object's `runtime`, and its image in the platform's `engines`.
            #[must_use]
            pub fn member(self) -> &'static str {
                match self { $(Self::$name => $member,)+ }
            }

            /// What is particular to it.
            #[must_use]
            pub fn particulars(self) -> &'static dyn Particulars {
                match self { $(Self::$name => &$particulars,)+ }
            }
        }
    };
}

engines! {
    /// llama.cpp's llama-server on a Unix socket, under the kernel lock.
    LlamaCpp "llamaCpp" => llama_cpp::LlamaCpp,
    /// Ollama on a TCP port of loopback, under the kernel lock that leaves stream sockets.
    Ollama "ollama" => ollama::Ollama,
}

/// What is wrong with a request that an engine takes for a fault of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A text is longer than it reads at once.
    TooLong,
    /// An image, for a model that reads none.
    Image,
}

/// What is particular to one engine.
pub trait Particulars: Sync {
    /// Program and arguments in the runtime's container.
    fn command(&self, settings: &Settings) -> Vec<String>;

    /// Settings that it takes from its environment; they show in the pod.
    fn environment(&self, settings: &Settings) -> Vec<(&'static str, String)>;

    /// Whether launch hands a variable of the container on to it, beside those that every engine gets.
    fn passes(&self, variable: &str) -> bool;

    /// Variables that launch sets, whatever the container says: what must hold for the seal and the gate.
    fn fixed(&self, place: &Place<'_>) -> Vec<(&'static str, String)>;

    /// Where it listens for the gate.
    fn listens(&self) -> Listens;

    /// Which sockets it cannot live without: this chooses the kernel lock.
    fn sockets(&self) -> Sockets;

    /// Where a GET says how it is.
    fn health_path(&self) -> &'static str;

    /// What the status of that answer means; any answer at all shows that it does not hang.
    fn health(&self, status: StatusCode) -> Health;

    /// The smallest request of that mode: shows that the model does load and compute.
    fn warm_up(&self, model: &str, mode: Mode) -> Question;

    /// Where a GET gives its token counters, if it has any.
    fn counters_path(&self) -> Option<&'static str>;

    /// The counters in the text of that answer; `None` when one is missing or no number.
    fn counters(&self, text: &str) -> Option<Tokens>;

    /// The engine's path for a route of the gate; `None` where it has none, and the gate answers 404.
    fn path(&self, route: Route) -> Option<&'static str>;

    /// What these words, of an answer that says 500, find wrong with the request.
    fn blames(&self, words: &str) -> Option<Unfit>;

    /// Whether it refuses requests without a `model`, so that the gate writes the served name into them.
    fn needs_model(&self) -> bool;

    /// The member by which a request for a stream gets its tokens told at the stream's end; `None` where they are told in
    /// any case. The gate writes it behind all others of a request that has not asked, and takes out of the answer what
    /// its client did not ask for.
    fn asks_for_tokens(&self, route: Route) -> Option<&'static str>;

    /// Why it cannot serve for this, with what to write instead.
    ///
    /// # Errors
    /// The reason, for people.
    fn can_serve_for(&self, mode: Mode) -> Result<(), String>;

    /// Why it cannot serve under this name, with what to write instead.
    ///
    /// # Errors
    /// The reason, for people.
    fn can_serve_as(&self, name: &str) -> Result<(), String>;

    /// Whether its store may hold several models, of which each request names one.
    fn holds_several(&self) -> bool;

    /// Whether it takes the second name for the first one's model.
    fn confuses(&self, one: &str, other: &str) -> bool;

    /// Whether it reads something from a store of its own, which is laid out before it starts.
    fn has_store(&self, settings: &Settings) -> bool;

    /// Everything that its store holds, paths relative to the store.
    ///
    /// # Errors
    /// The model cannot be laid out, such as for want of a template.
    fn layout(&self, weights: &Weights<'_>, settings: &Settings)
    -> Result<Vec<Entry>, LayoutError>;

    /// Tokens of context of all parallel requests together, which is what the cache holds of one model.
    fn cached(&self, tuning: &Tuning) -> u32;

    /// Whether it makes one vector of a text where neither the model's file nor the settings say how.
    fn pools_by_itself(&self) -> bool;

    /// Whether a model with this family of chat templates, or an unknown one, must be given a template in the
    /// settings.
    fn lacks_template(&self, family: Option<ChatFamily>) -> bool;
}

#[cfg(test)]
mod hostile_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// What every engine must keep, whoever adds the next one.
    #[test]
    fn every_engine_keeps_to_its_pod() {
        Engine::ALL.iter().copied().for_each(keeps_to_its_pod);
    }

    fn keeps_to_its_pod(engine: Engine) {
        let particulars = engine.particulars();
        let settings = Settings::sample();
        let command = particulars.command(&settings);
        assert!(command[0].starts_with("/usr/bin/"), "{command:?}");
        let environment = particulars.environment(&settings);
        for (name, _) in &environment {
            assert!(particulars.passes(name), "{name} is set and never arrives");
        }
        for name in [
            "HTTPS_PROXY",
            "LD_PRELOAD",
            "KUBERNETES_SERVICE_HOST",
            "HOME",
        ] {
            assert!(!particulars.passes(name), "{name}");
        }
        // Listening on all addresses is never said.
        let place = Place {
            port: 1,
            store: "/store",
        };
        let fixed = particulars.fixed(&place);
        let text = format!("{command:?} {environment:?} {fixed:?}");
        for everywhere in ["0.0.0.0", "[::]", "::0"] {
            assert!(!text.contains(everywhere), "{text}");
        }
        let tcp = matches!(particulars.listens(), Listens::Tcp(_));
        assert_eq!(tcp, particulars.sockets() == Sockets::UnixAndStreams);
        assert!(particulars.health_path().starts_with('/'));
        for mode in Mode::ALL {
            let warm_up = particulars.warm_up("assistant", *mode);
            let body = String::from_utf8(warm_up.body).unwrap();
            assert!(body.contains("assistant"), "{body}");
            let route = Route::ALL.iter().find(|route| route.path() == warm_up.path);
            assert!(route.is_some_and(|route| mode.serves(*route)), "{mode:?}");
            if particulars.can_serve_for(*mode).is_ok() {
                let path = route.and_then(|route| particulars.path(*route));
                assert_eq!(path, Some(warm_up.path), "{mode:?}");
            }
        }
        for route in Route::ALL {
            assert!(
                particulars
                    .path(*route)
                    .is_none_or(|path| path.starts_with("/v1/"))
            );
            if let Some(member) = particulars.asks_for_tokens(*route) {
                let body: serde_json::Value =
                    serde_json::from_str(&format!("{{{member}}}")).unwrap();
                assert_eq!(body["stream_options"]["include_usage"], true);
            }
        }
    }

    #[test]
    fn names_are_those_of_the_api() {
        for engine in Engine::ALL {
            let json = serde_json::to_string(engine).unwrap();
            assert_eq!(json, format!("\"{}\"", engine.as_str()));
            let (first, rest) = engine.as_str().split_at(1);
            assert_eq!(engine.member(), first.to_lowercase() + rest);
        }
    }
}
