//! What llama.cpp reads beside the model: adapters and a projector; pure.

use super::models::image;
use super::validate::Invalid;
use crate::api::model_artifact::ArtifactFacts;
use crate::api::model_deployment::{Adapter, Engine, Mode};
use crate::api::{AccessMode, ModelDeployment, Reason, SecretRef};
use crate::controller::config::Config;
use crate::controller::outcome::Stall;
use crate::gguf::Kind;
use crate::types::ImageRef;

/// As many adapters as the schema lets through.
const MOST: usize = 4;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub role: Role,
    /// The artifact.
    pub image: ImageRef,
    /// Secrets for the artifact's registry.
    pub pull_secrets: Vec<SecretRef>,
}

/// What a part is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A LoRA adapter.
    Adapter {
        /// Its name in the spec.
        name: String,
        /// By how much it counts.
        scale: String,
    },
    /// The projector.
    Projector,
}

impl Part {
    /// What its file must be.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.role {
            Role::Adapter { .. } => Kind::Adapter,
            Role::Projector => Kind::Projector,
        }
    }

    /// Where it is written.
    #[must_use]
    pub fn field(&self) -> String {
        match &self.role {
            Role::Adapter { name, .. } => format!("runtime.llamaCpp.adapters[{name}].artifact"),
            Role::Projector => "runtime.llamaCpp.projector.artifact".to_owned(),
        }
    }

    /// A stall of its artifact, with the field that it comes from and what to write there.
    #[must_use]
    pub fn about(&self, mut stall: Stall) -> Stall {
        stall.message = format!("{}: {}", self.field(), stall.message);
        if stall.reason == Reason::WrongKind {
            let kind = self.kind();
            stall.message += &format!("; name the artifact of {kind} for the model");
        }
        stall
    }

    /// Why the engine could not use it with the model, as far as both headers say. What is not planned yet is not
    /// looked at.
    #[must_use]
    pub fn foreign(
        &self,
        model: Option<&ArtifactFacts>,
        this: Option<&ArtifactFacts>,
    ) -> Option<Stall> {
        // A projector's architecture is its own, and says nothing of the model.
        if self.kind() != Kind::Adapter {
            return None;
        }
        let [model, this] = [model?, this?].map(|facts| facts.architecture.as_deref());
        let (model, this) = (model?, this?);
        (model != this).then(|| {
            let text = format!(
                "{}: the adapter was made for the architecture {this}, and the model's is {model}: name an adapter of this model, or leave it out",
                self.field()
            );
            Stall::new(Reason::InvalidSpec, text)
        })
    }
}

/// A stall of the model's own artifact: where a file of another kind belongs.
#[must_use]
pub fn about_model(mut stall: Stall) -> Stall {
    if stall.reason == Reason::WrongKind {
        stall.message += "; name the artifact of a whole model, and of engine LlamaCpp an adapter in runtime.llamaCpp.adapters and a projector in runtime.llamaCpp.projector";
    }
    stall
}

/// All of them, the projector last.
///
/// # Errors
/// [`Invalid`] says what to mend.
pub fn of(object: &ModelDeployment, config: &Config) -> Result<Vec<Part>, Invalid> {
    let Some(given) = &object.spec.runtime.llama_cpp else {
        return Ok(Vec::new());
    };
    let wrong = |text| Err(Invalid::Parts(text));
    let mut parts = Vec::new();
    if given.adapters.len() > MOST {
        return wrong("write at most 4 adapters");
    }
    for (index, adapter) in given.adapters.iter().enumerate() {
        let others = given.adapters.iter().take(index);
        if others
            .map(|other| &other.name)
            .any(|name| *name == adapter.name)
        {
            return wrong("give each of the adapters another name");
        }
        parts.push(of_adapter(adapter, config)?);
    }
    if let Some(projector) = &given.projector {
        if given.mode != Mode::Completion {
            return wrong(
                "only a model that writes text is shown images: leave projector out, or write mode: Completion",
            );
        }
        parts.push(Part {
            role: Role::Projector,
            image: image(
                &projector.artifact,
                "runtime.llamaCpp.projector.artifact.image",
                config,
            )?,
            pull_secrets: projector.artifact.pull_secrets.clone(),
        });
    }
    if parts.is_empty() {
        return Ok(parts);
    }
    if object.spec.runtime.engine != Engine::LlamaCpp {
        return wrong(
            "adapters and projector are for engine LlamaCpp: write that engine, or leave them out",
        );
    }
    if object.spec.delivery.claim().access_mode == AccessMode::ReadWriteOncePod {
        return wrong(
            "with adapters or a projector write delivery.persistentVolumeClaim.accessMode ReadWriteOnce or ReadWriteMany",
        );
    }
    Ok(parts)
}

fn of_adapter(adapter: &Adapter, config: &Config) -> Result<Part, Invalid> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=40).contains(&adapter.name.len()) || !adapter.name.chars().all(plain) {
        return Err(Invalid::Parts(
            "the name of an adapter has 1 to 40 of a-z, 0-9 and -",
        ));
    }
    // It becomes a part of an argument.
    if !is_scale(&adapter.scale) {
        return Err(Invalid::Parts(
            "the scale of an adapter is a text from \"-99\" to \"99\" with at most four decimals",
        ));
    }
    Ok(Part {
        role: Role::Adapter {
            name: adapter.name.clone(),
            scale: adapter.scale.clone(),
        },
        image: image(
            &adapter.artifact,
            "runtime.llamaCpp.adapters[].artifact.image",
            config,
        )?,
        pull_secrets: adapter.artifact.pull_secrets.clone(),
    })
}

fn is_scale(text: &str) -> bool {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let number = text.strip_prefix('-').unwrap_or(text);
    match number.split_once('.') {
        Some((whole, rest)) => digits(whole, 2) && digits(rest, 4),
        None => digits(number, 2),
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
