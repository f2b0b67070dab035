impl Dog for Kennel {
    async fn bark(&self, words: &str) -> Result<String, DogError> {
        Ok(words.to_owned())
    }
}
const _: () = {
    use ::rmi_core::__private as __rmi;
    __rmi::register! {
        __rmi::Registration::new:: < DogServer < Kennel > > (__rmi::default_instance:: <
        DogServer < Kennel >, Kennel >)
    }
};
#[cfg(feature = "ranch")]
impl contracts::Cowboy for Ranch {
    async fn howdy(&self) -> Result<String, Infallible> {
        Ok("howdy".to_owned())
    }
}
#[cfg(feature = "ranch")]
const _: () = {
    use ::rmi_core::__private as __rmi;
    __rmi::register! {
        __rmi::Registration::new:: < ranch::CowboyServer < Ranch > > (||
        __rmi::new_instance:: < ranch::CowboyServer < Ranch >, _ > (Ranch::open))
    }
};
impl Account for Rented<'static> {
    async fn owner(&self) -> Result<String, AccountError> {
        Ok(self.owner.clone())
    }
}
const _: () = {
    use vendor::bus::__private as __rmi;
    __rmi::register! {
        __rmi::Registration::new:: < AccountServer < Rented < 'static > > > (||
        __rmi::per_call:: < AccountServer < Rented < 'static > >, _, _ > (Rented::open))
    }
};
