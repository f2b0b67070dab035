use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    #[remote(name = "Bad.Worse")]
    Worse,
}

fn main() {}
