//! What a call means, on every pair of a protocol and a transport that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::Builder,
    testing::semantics::{self, Setting},
};
use rmi_tests::{clock::paused, lines::Lines, wires::Listener, world::World};
use tokio::runtime::Runtime;

macro_rules! native_on_memory {
    ($($name:ident: $world:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            pub(super) struct This(World);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = $not_applicable;

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    This($world)
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    Endpoint::builder(name).bind(Native::default(), self.0.bus.clone(), self.0.trust(name)).clock(self.0.clock.clone())
                }
            }

            semantics::suite!(This);
        }
    )*};
}

native_on_memory! {
    native_sealed_on_memory: World::sealed(), &[];
    native_unsealed_on_memory: World::unsealed(), &[("only_its_own_principal_cancels", "nobody signs: all are one principal")];
}

mod lines_on_wires {
    use super::*;

    struct This(Listener);

    const NO_CLASS: &str = "the dialect carries the text of an error, and not its class";
    const NO_MEMORY: &str = "the dialect's numbers are good for one link, and nothing is asked for again by them";
    const NO_WORDS: &str = "the dialect carries no ttl, no date and no data";
    const ONE_CLASS: &str = "a link speaks with one class, of no version: here with the probe";

    #[async_trait]
    impl Setting for This {
        const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = &[
            ("a_typed_error_arrives_as_itself", NO_CLASS),
            ("an_unknown_exception_arrives_raw", NO_CLASS),
            ("a_panic_is_an_outcome", "the dialect has no aborts"),
            ("pending_calls_end_with_the_endpoint", "its goodbye ends the link first, and the calls with it: `ReplyLost`"),
            ("no_time_is_rounded", NO_WORDS),
            ("the_shortest_and_the_longest_times_are_held", NO_WORDS),
            ("a_layer_knows_what_a_request_says_of_itself", NO_WORDS),
            ("what_layers_decide_at_once_keeps_its_order", NO_WORDS),
            ("layers_are_told_how_every_request_ended", NO_WORDS),
            ("layers_are_asked_once_for_each_request", NO_MEMORY),
            ("a_late_outcome_is_asked_for_again_and_not_run_again", NO_MEMORY),
            ("a_builder_may_choose_the_default_major", ONE_CLASS),
            ("a_newer_minor_is_no_obstacle", ONE_CLASS),
            ("majors_are_served_side_by_side", ONE_CLASS),
            ("what_is_not_served_is_rejected_with_what_is", ONE_CLASS),
            ("who_names_no_version_gets_the_lowest_major", ONE_CLASS),
            ("a_panic_ends_a_turn", ONE_CLASS),
            ("an_inline_handler_waits_for_its_turn_as_well", ONE_CLASS),
            ("an_instance_of_its_own_is_made_when_its_turn_has_come", ONE_CLASS),
            ("each_major_of_a_sequential_contract_has_a_queue_of_its_own", ONE_CLASS),
            ("each_sequential_contract_has_a_queue_of_its_own", ONE_CLASS),
            ("sequential_requests_run_one_after_the_other", ONE_CLASS),
            ("sequential_requests_keep_the_order_of_their_admission", ONE_CLASS),
            ("a_group_is_one_call_to_many_agents", "the dialect does not carry the group"),
        ];

        fn runtime() -> io::Result<Runtime> {
            paused()
        }

        async fn start() -> Self {
            This(Listener::new())
        }

        async fn endpoint(&self, name: &'static str) -> Builder {
            let builder = Endpoint::builder(name);
            if name == "agent" {
                builder.bind(Lines::server("probe"), self.0.clone(), Trust::insecure())
            } else {
                builder.bind(Lines::agent("probe", name, "agent"), self.0.dial(), Trust::insecure())
            }
        }
    }

    semantics::suite!(This);
}

/// What is said of a pair in advance: a sealed one on a bus is asked everything but what is for others.
#[tokio::test(start_paused = true)]
async fn what_a_pair_has_it_is_asked() {
    let of_others: Vec<_> = semantics::not_applicable::<native_sealed_on_memory::This>().await;
    assert!(of_others.iter().all(|(_, why)| ["everybody signs", "there are events"].contains(why)), "{of_others:?}");
    assert_eq!(of_others.len(), 3);
    let unsealed: Vec<_> = semantics::not_applicable::<native_unsealed_on_memory::This>().await;
    let whys = ["nobody signs, or the scheme dates nothing", "there are events"];
    assert!(unsealed.iter().all(|(_, why)| whys.contains(why)), "{unsealed:?}");
    assert!(!unsealed.is_empty());
}
