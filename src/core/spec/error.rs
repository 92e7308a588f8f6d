//! What only a person can correct: a spec that contradicts itself, a source that is no credential.

use std::collections::HashSet;

use crate::api::{DEFAULT_WARN_BEFORE, JiraCredentialSpec, Preset, Reason, SOURCE_LABEL};
use crate::core::spec::missing_right::MissingRight;
use crate::core::spec::site::SiteError;

/// Why a spec cannot be acted on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The site is not an address that a credential may be sent to.
    #[error("{0}")]
    Site(#[from] SiteError),
    /// The administrator does not allow the site.
    #[error("{0}")]
    HostNotAllowed(String),
    /// No or more than one method.
    #[error("spec.auth must have exactly one member")]
    NoMethod,
    /// A text that is not a length of time.
    #[error("{0} is not a duration: write days, hours, minutes, seconds, such as 90d or 1h30m")]
    NotAPeriod(&'static str),
    /// An interval that would be load without knowledge.
    #[error("spec.validation.interval must be at least 10s")]
    IntervalTooShort,
    /// The warning would precede the life that it warns of the end of.
    #[error(
        "spec.rotation.warnBefore ({warn_before}{}) must be shorter than spec.rotation.maxAge ({max_age}): set a shorter warnBefore",
        default_note(.warn_before)
    )]
    WarnBeforeTooLong {
        /// `spec.rotation.warnBefore` as it is written; the API server writes the default.
        warn_before: String,
        /// `spec.rotation.maxAge` as it is written.
        max_age: String,
    },
    /// Two targets are the same Secret.
    #[error(
        "spec.targets names the Secret {0} twice: remove one of the two, or give it another name or namespace; left out, the namespace is that of the JiraCredential"
    )]
    SameTarget(String),
    /// A label or annotation outside the prefixes that the administrator allows.
    #[error(
        "spec.targets[{target}].{field}: the key {key} is not under an allowed prefix ({allowed}); the administrator can extend --allowed-metadata-keys"
    )]
    KeyNotAllowed {
        /// Name of the target, behind its namespace where that is said.
        target: String,
        /// `template.labels`, `template.annotations`, or `presets` for what a preset implies.
        field: &'static str,
        /// The key.
        key: String,
        /// The prefixes that are allowed.
        allowed: String,
    },
}

/// Nobody looks for a field that they did not write.
fn default_note(warn_before: &str) -> &'static str {
    if warn_before == DEFAULT_WARN_BEFORE {
        ", the default"
    } else {
        ""
    }
}

impl SpecError {
    /// The reason to report.
    pub fn reason(&self) -> Reason {
        match self {
            SpecError::HostNotAllowed(_) => Reason::HostNotAllowed,
            SpecError::Site(_)
            | SpecError::NoMethod
            | SpecError::NotAPeriod(_)
            | SpecError::IntervalTooShort
            | SpecError::WarnBeforeTooLong { .. }
            | SpecError::SameTarget(_)
            | SpecError::KeyNotAllowed { .. } => Reason::SpecInvalid,
        }
    }
}

/// Why the source is not usable as a credential. Names and keys are the user's own words from
/// the spec; contents are never repeated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// The object does not exist.
    #[error("the {kind} {name} does not exist; create it in this namespace")]
    Missing {
        /// Secret or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The key does not exist.
    #[error("the {kind} {name} has no key {key}; add it, or correct the reference in spec")]
    KeyMissing {
        /// Secret or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The value is no credential.
    #[error("the key {key} of the {kind} {name} {flaw}")]
    Malformed {
        /// Secret or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        flaw: InvalidValue,
    },
    /// The Secret is one that the operator publishes.
    #[error(
        "the Secret {name} is published by this operator, or lets it write keys (annotation jira-operator.dev/merge-from), and cannot be a source; name the Secret that holds the original credential"
    )]
    IsTarget {
        /// Its name.
        name: String,
    },
    /// The Secret lacks the label that the administrator requires.
    #[error(
        "the Secret {name} does not have the label {SOURCE_LABEL}=true, and the administrator lets this operator read only Secrets with it (--require-source-label); set the label, or ask the owner of the Secret for it"
    )]
    NotAllowed {
        /// Its name.
        name: String,
    },
    /// The operator may not read it.
    #[error("{0}")]
    NotReadable(MissingRight),
    /// The Secret is a credential of the cluster itself.
    #[error(
        "the Secret {name} has the type {kind}, which is never sent to a site; use an Opaque Secret"
    )]
    ForbiddenType {
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
    },
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidValue {
    /// Nothing in it.
    #[error("is empty; store the value in it")]
    Empty,
    /// Not text.
    #[error("is not UTF-8 text; store the value itself as plain text")]
    NotUtf8,
    /// One line end is left out, since `echo` and editors add one; several are no slip of theirs.
    #[error(
        "ends in more than one line end; one would be left out, so store the value with one or none: kubectl create secret --from-literal adds none"
    )]
    SeveralLineEnds,
    /// What editors of Windows put before a text.
    #[error(
        "begins with a byte order mark, which some editors and PowerShell put before a text; store the value without it, as UTF-8"
    )]
    ByteOrderMark,
    /// Quotes that a shell or YAML was meant to take away.
    #[error("stands in quotes, which are part of what is stored; store the value without them")]
    Quotes,
    /// Blanks at an end.
    #[error("begins or ends with whitespace; store the value without it")]
    Blank,
    /// Control characters cannot be part of a header.
    #[error("contains control characters; store the value without them")]
    ControlCharacter,
    /// Characters that no token has.
    #[error(
        "contains blanks or characters other than printable ASCII, which tokens and client secrets never contain; copy it again"
    )]
    NotAscii,
    /// No credential is that long.
    #[error("is longer than any Jira credential; check that it holds the value alone")]
    TooLong,
    /// A colon would end the user name.
    #[error("contains a colon, which a user name in Basic authentication cannot have")]
    Colon,
    /// Not certificates.
    #[error("holds no usable PEM certificates; store the CA certificates in PEM form")]
    NotPem,
    /// More certificates than are accepted.
    #[error(
        "holds more than 256 CA certificates or 512 KiB; store only the authorities that signed the site's certificate"
    )]
    TooManyCertificates,
    /// Not a private key.
    #[error(
        "holds no private key in PEM form; store the RSA private key whose public key the application link has, from -----BEGIN to -----END"
    )]
    NotPrivateKey,
    /// A private key that needs a passphrase.
    #[error(
        "holds a private key that is encrypted; store it without passphrase: openssl pkcs8 -topk8 -nocrypt -in key.pem"
    )]
    EncryptedKey,
    /// A private key in the form of OpenSSH.
    #[error(
        "holds a private key in the form of OpenSSH; convert a copy of it with ssh-keygen -p -m PEM -f and store that"
    )]
    OpenSshKey,
    /// A private key of another kind, such as an elliptic curve.
    #[error(
        "holds a private key that is not a complete RSA key, and an application link takes RSA keys only; create one with openssl genrsa 2048 and give its public key to the application link"
    )]
    NotRsaKey,
    /// An RSA key of a size that is not used.
    #[error(
        "holds an RSA key of fewer than 1024 or more than 8192 bits; create one with openssl genrsa 2048 and give its public key to the application link"
    )]
    KeySize,
}

impl SourceError {
    /// Whether the remedy can come without a word to us: only Secrets are watched.
    pub fn is_unwatched(&self) -> bool {
        match self {
            SourceError::Missing { kind, .. }
            | SourceError::KeyMissing { kind, .. }
            | SourceError::Malformed { kind, .. } => *kind == "ConfigMap",
            SourceError::NotReadable(_) => true,
            SourceError::IsTarget { .. }
            | SourceError::ForbiddenType { .. }
            | SourceError::NotAllowed { .. } => false,
        }
    }

    /// The reason to report.
    pub fn reason(&self) -> Reason {
        match self {
            SourceError::Missing { .. } | SourceError::KeyMissing { .. } => Reason::SourceMissing,
            SourceError::Malformed { .. } | SourceError::ForbiddenType { .. } => {
                Reason::SourceMalformed
            }
            SourceError::IsTarget { .. } => Reason::SourceIsTarget,
            SourceError::NotAllowed { .. } => Reason::SourceNotAllowed,
            SourceError::NotReadable(_) => Reason::OperatorRightMissing,
        }
    }
}

/// Checks that no two targets are the same Secret: the API server does not know that the namespace which one of them
/// names is that of the `JiraCredential`.
///
/// # Errors
/// For the first Secret that is named twice.
pub fn check_targets(spec: &JiraCredentialSpec, namespace: &str) -> Result<(), SpecError> {
    let mut seen = HashSet::new();
    for target in &spec.targets {
        let path = target.path_from(namespace);
        if seen.contains(&path) {
            return Err(SpecError::SameTarget(path));
        }
        seen.insert(path);
    }
    Ok(())
}

/// Where the keys of the labels and annotations of the preset `Jenkins` begin.
const JENKINS_PREFIX: &str = "jenkins.io/";

/// Checks labels and annotations of the targets against the allowed prefixes: replicators and
/// token controllers act on annotations, so a tenant must not choose them freely.
///
/// # Errors
/// For the first key outside the allowed prefixes, and for the labels that are ours.
pub fn check_metadata(spec: &JiraCredentialSpec, allowed: &[String]) -> Result<(), SpecError> {
    for target in &spec.targets {
        let template = target.template.iter();
        let written = template.flat_map(|template| {
            let labels = template
                .labels
                .keys()
                .map(|key| ("template.labels", key.as_str()));
            let annotations = template.annotations.keys();
            labels.chain(annotations.map(|key| ("template.annotations", key.as_str())))
        });
        let jenkins = target.presets.contains(&Preset::Jenkins);
        let implied = jenkins.then_some(("presets", JENKINS_PREFIX));
        for (field, key) in written.chain(implied) {
            let ours = key == crate::api::MANAGED_BY_LABEL;
            if ours
                || !allowed
                    .iter()
                    .any(|prefix| key.starts_with(prefix.as_str()))
            {
                return Err(SpecError::KeyNotAllowed {
                    target: target.path(),
                    field,
                    key: key.to_owned(),
                    allowed: allowed.join(", "),
                });
            }
        }
    }
    Ok(())
}
