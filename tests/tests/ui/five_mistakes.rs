use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(rename_all = "shouting")]
pub trait Dog {
    fn bark(&self) -> Result<(), Failure>;

    #[remote(timeout = "a while")]
    async fn beg(&mut self) -> Result<(), Failure>;

    async fn fetch(&self, #[remote(optional)] what: &str) -> Result<(), Failure>;

    async fn sit(&self) -> Result<(), Failure>;
}

struct Rex;

impl Dog for Rex {
    fn bark(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn beg(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn fetch(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn sit(&self) -> Result<(), Failure> {
        Ok(())
    }
}

// Neither the trait nor what is made of it is reported as missing.
fn _uses(client: &DogClient) {
    let _ = DogServer::new(Rex);
    drop(client.sit());
}

fn main() {}
