//! What makes trajectories differ, as a value (spec latenttts §2).

/// Where MC-dropout acts (spec latenttts §2.1, §9.2). CoLaR drops the output of `down_proj` whatever the sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sites {
    /// Outputs of attention and MLP, before the residual sum.
    #[default]
    Resid,
    /// Output of the MLP alone.
    Mlp,
    /// As `Resid`, and the embedding.
    #[serde(rename = "resid+embd")]
    ResidEmbd,
}

/// Which positions a perturbation touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The published form: the prompt as well.
    #[default]
    Full,
    /// The thought alone, so that the prompt is computed once.
    Latent,
}

/// A stochastic change of the thought.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(tag = "sampler", rename_all = "kebab-case")]
pub enum Perturbation {
    /// Deterministic.
    #[default]
    None,
    /// Inverted dropout, a fresh mask an element, position and step.
    Dropout {
        /// Drop probability in [0, 1).
        p: f32,
        /// Where it acts.
        sites: Sites,
        /// Which positions it touches.
        scope: Scope,
    },
    /// z ← z + σ·ε.
    Noise {
        /// σ ≥ 0.
        std: f32,
        /// Which positions it touches; latent chain-of-thought perturbs thoughts alone either way.
        scope: Scope,
    },
    /// Recurrent depth: another initial state s_0 a trajectory.
    State,
}

impl Perturbation {
    /// Whether a latent chain's trajectories differ before their first latent, so that each has a prompt of its own.
    pub fn reaches_prompt(self) -> bool {
        matches!(self, Self::Dropout { p, scope: Scope::Full, .. } if p > 0.0)
    }

    /// Whether trajectories of recurrent depth differ before the thinking position, so that each has earlier positions of its
    /// own.
    pub fn reaches_earlier_positions(self) -> bool {
        match self {
            Self::Dropout { p, scope, .. } => p > 0.0 && scope == Scope::Full,
            Self::Noise { std, scope } => std > 0.0 && scope == Scope::Full,
            Self::None | Self::State => false,
        }
    }
}
