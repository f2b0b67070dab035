use rmi_core::RemoteError;

#[derive(RemoteError)]
pub union Bad {
    a: u8,
    b: u16,
}

fn main() {}
