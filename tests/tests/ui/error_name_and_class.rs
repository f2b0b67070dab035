use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    #[remote(name = "Bad", class = "ValueError")]
    Worse,
}

fn main() {}
