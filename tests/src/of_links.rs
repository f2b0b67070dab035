//! What every transport has to hold and cannot be asked of links.

/// The checks of [`conformance`](rmi_core::testing::conformance) that are about what is between two ends where there is a bus, and these
/// further ones.
#[macro_export]
macro_rules! of_links {
    ($($further:literal),* $(,)?) => {
        &[
            "many_subscribers_get_their_own",
            "competing_subscribers_share",
            "an_exclusive_subscriber_is_alone",
            "a_topic_reaches_what_matches_it",
            "broadcast_reaches_everybody",
            "a_pool_gets_each_frame_once",
            "several_patterns_are_one_subscription",
            "groups_are_told_apart",
            "who_drops_the_oldest_holds_up_nobody",
            "what_is_requeued_comes_again",
            "what_is_dropped_comes_again",
            "what_a_subscriber_left_comes_again",
            "what_is_released_comes_again",
            "what_is_acknowledged_is_gone",
            "what_is_discarded_is_gone",
            "prefetch_is_held",
            "a_publish_waits_no_longer_than_it_may",
            "what_was_unsettled_at_a_cut_comes_again",
            "an_acknowledgement_from_before_a_cut_is_ignored",
            "a_frame_expires",
            "a_durable_address_outlives_its_subscriber",
            "a_strange_address_is_its_own_or_refused",
            "a_subscribe_that_is_dropped_leaves_nothing",
            "closing_leaves_others_alone",
            "what_a_closed_transport_had_comes_again",
            $($further),*
        ]
    };
}
