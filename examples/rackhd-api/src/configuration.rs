use rmi_amqp::rackhd::ErrorEvent;
use rmi_core::remote;
use serde_json::Value;

/// Changes what a process of RackHD was configured with, while it runs.
///
/// All processes of 2015 listened, and answered out of their own configuration; later ones do not.
#[remote(name = "configuration", version = "1.0", rename_all = "camelCase")]
pub trait Configuration {
    /// Sets a value. The first generation does not answer: call it with `notify`.
    #[remote(idempotent, timeout = "1s")]
    async fn set(&self, key: &str, value: &Value) -> Result<Value, ErrorEvent>;

    /// The value of a key.
    #[remote(idempotent, timeout = "1s")]
    async fn get(&self, key: &str) -> Result<Value, ErrorEvent>;
}
