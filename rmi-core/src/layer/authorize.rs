use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    endpoint::{AdminAction, AdminPolicy, is_admin},
    layer::{Incoming, Layer, Policy, PolicyError, async_trait},
    lock::lock,
    message::{Rejection, RejectionCode},
    seal::Principal,
};

/// A layer that lets in what its [`Policy`] allows, and rejects everything else `security.authorization`.
///
/// Clones share one policy. What it says when a request comes counts: a request that has been let in runs on when the policy changes.
/// Put it before layers that charge for what they are asked: who may not call is then not charged either.
///
/// The caller is told which method is not open to it. Which rule says so is in the agent's log, at the level `debug`, and in
/// [`Policy::explain`].
///
/// ```no_run
/// # async fn serve(builder: rmi_core::endpoint::Builder) -> Result<(), Box<dyn std::error::Error>> {
/// use rmi_core::layer::Authorize;
///
/// let authorize = Authorize::from_file("/etc/rmi/policy.toml")?;
/// let endpoint = builder.layer(authorize.clone()).admin(authorize.clone()).start().await?;
/// for line in authorize.policy().idle(&endpoint.describe()) {
///     tracing::warn!("policy: {line}");
/// }
/// // Later, on SIGHUP. A file that cannot be used changes nothing.
/// let _ = authorize.reload();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Authorize(Arc<Shared>);

struct Shared {
    /// What decides. Held for the length of a pointer copy, in either mode.
    policy: RwLock<Arc<Policy>>,
    file: Option<PathBuf>,
    /// Held while the file is read, so that the policy read last is the one that is used.
    reading: Mutex<()>,
    failed_reloads: AtomicU64,
    denied: AtomicU64,
}

impl Authorize {
    /// Decides by a policy that is not from a file.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Authorize::with(policy, None)
    }

    /// Decides by the policy in a file. Blocks while it is read.
    ///
    /// # Errors
    ///
    /// As [`Policy::from_file`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        Ok(Authorize::with(Policy::from_file(path)?, Some(path.to_owned())))
    }

    fn with(policy: Policy, file: Option<PathBuf>) -> Self {
        Authorize(Arc::new(Shared {
            policy: RwLock::new(Arc::new(policy)),
            file,
            reading: Mutex::new(()),
            failed_reloads: AtomicU64::new(0),
            denied: AtomicU64::new(0),
        }))
    }

    /// Reads the file again, and then decides by what it says. Blocks while it reads; requests are decided about meanwhile. Does
    /// nothing for a policy that is not from a file.
    ///
    /// # Errors
    ///
    /// As [`Policy::from_file`]. The policy that was read before stays in use, in every part; the failure is counted, and logged
    /// as an error.
    pub fn reload(&self) -> Result<(), PolicyError> {
        let Some(path) = &self.0.file else { return Ok(()) };
        let reading = lock(&self.0.reading);
        let policy = Policy::from_file(path).inspect_err(|error| {
            self.0.failed_reloads.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "the policy could not be read again: the one that was read before stays in use");
        })?;
        tracing::info!(file = %path.display(), rules = policy.rules(), "the policy has been read again");
        self.replace(policy);
        drop(reading);
        Ok(())
    }

    /// Decides by another policy from now on.
    pub fn replace(&self, policy: Policy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// What decides now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.0.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many times [`Authorize::reload`] has failed.
    #[must_use]
    pub fn failed_reloads(&self) -> u64 {
        self.0.failed_reloads.load(Ordering::Relaxed)
    }

    /// How many requests have been denied.
    #[must_use]
    pub fn denied(&self) -> u64 {
        self.0.denied.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Layer for Authorize {
    async fn admit(&self, request: &Incoming) -> Result<(), Rejection> {
        let (contract, method) = (request.contract(), request.method().name);
        let (binding, principal) = (request.binding(), request.principal());
        let policy = self.policy();
        let said = policy.decide(binding, principal, contract.name, method, is_admin(contract));
        if said.is_allowed() {
            return Ok(());
        }
        self.0.denied.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%principal, binding, class = contract.name, method, why = %said, "not authorised");
        let details = format!("\"{}.{method}()\" is not open to this caller", contract.name);
        Err(Rejection::new(RejectionCode::Authorization, details))
    }
}

/// What the policy's `[[admin]]` grants, now.
impl AdminPolicy for Authorize {
    fn permits(&self, asker: &Principal, action: AdminAction, owner: &Principal) -> bool {
        self.policy().permits(asker, action, owner)
    }
}

impl fmt::Debug for Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, rules) = (&self.0.file, self.policy().rules());
        f.debug_struct("Authorize").field("file", file).field("rules", &rules).finish_non_exhaustive()
    }
}
