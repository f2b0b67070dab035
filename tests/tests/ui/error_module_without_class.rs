use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    #[remote(module = "builtins")]
    Worse,
}

fn main() {}
