use rmi_core::RemoteError;

#[derive(RemoteError)]
pub enum Bad {
    Worse,
    Worst,
}

fn main() {}
