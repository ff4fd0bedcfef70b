//! What training can refuse.

/// A failure, in one plain line that names its culprit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A checkpoint, its configuration or its tokenizer is at fault.
    #[error(transparent)]
    Model(#[from] fathom_model::Error),
    /// A question or an answer is at fault.
    #[error(transparent)]
    Search(#[from] fathom_search::Error),
    /// A file of problems is at fault.
    #[error(transparent)]
    Dataset(#[from] fathom_search::dataset::DatasetError),
    /// Operands that do not fit, or a device.
    #[error(transparent)]
    Kernel(#[from] fathom::Error),
    /// A value that is infinite or not a number.
    #[error("{tensor} is not finite")]
    NotFinite {
        /// What it is in.
        tensor: String,
    },
    /// Options that contradict each other, the data or the model.
    #[error("{option}: {what}")]
    Option {
        /// The option at fault.
        option: &'static str,
        /// Why.
        what: String,
    },
}

/// The result of training's operations.
pub type Result<T> = std::result::Result<T, Error>;
