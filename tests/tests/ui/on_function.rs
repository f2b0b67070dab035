use rmi_core::remote;

#[remote]
pub async fn bark() {}

fn main() {}
