use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    #[remote(class = "ValueError")]
    Worse,
    #[error("bad")]
    #[remote(class = "ValueError", module = "builtins")]
    Worst,
}

fn main() {}
