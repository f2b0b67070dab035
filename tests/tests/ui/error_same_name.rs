use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    Worse,
    #[error("bad")]
    #[remote(name = "Worse")]
    Worst,
}

fn main() {}
