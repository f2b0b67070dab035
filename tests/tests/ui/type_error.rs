use rmi_core::remote;

pub struct Rabies;

#[remote]
pub trait Dog {
    async fn bark(&self) -> Result<(), Rabies>;
}

fn main() {}
