#[remote]
impl Dog for Kennel {
    async fn bark(&self, words: &str) -> Result<String, DogError> {
        Ok(words.to_owned())
    }
}

#[remote(new = Ranch::open, server = ranch::CowboyServer)]
#[cfg(feature = "ranch")]
impl contracts::Cowboy for Ranch {
    async fn howdy(&self) -> Result<String, Infallible> {
        Ok("howdy".to_owned())
    }
}

#[remote(new = Rented::open, per_call, crate = "vendor::bus")]
impl Account for Rented<'static> {
    async fn owner(&self) -> Result<String, AccountError> {
        Ok(self.owner.clone())
    }
}
