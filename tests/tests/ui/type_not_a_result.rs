use rmi_core::remote;

#[remote]
pub trait Dog {
    async fn bark(&self) -> String;
}

fn main() {}
