//! Which method is where: what a dialect is told when it is made, and what names say by themselves.

use std::borrow::Cow;

use rmi_core::{
    contract::{Contract, Method},
    event::overlap,
    text::Text,
};

use super::{
    key,
    route::{EVENTS, EventRoute, Form, OBJECT, Route},
};

/// The first word of the key of a method that has no template of its own.
const METHODS: &str = "methods.";

/// What a dialect is told when it is made. What comes later counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    routes: Vec<Route>,
    events: Vec<EventRoute>,
    contracts: Vec<&'static Contract>,
    exchanges: Vec<&'static str>,
    narrowed: Vec<Narrowed>,
}

/// A parameter of keys that an agent listens for one word of.
#[derive(Clone, Debug)]
struct Narrowed {
    class: Text,
    parameter: Text,
    word: Text,
}

/// Where a method is.
#[derive(Debug)]
pub(super) struct Found<'n> {
    pub(super) class: Cow<'n, str>,
    pub(super) method: Cow<'n, str>,
    /// By its plain name.
    pub(super) exchange: Cow<'n, str>,
    /// The template.
    pub(super) key: Cow<'n, str>,
    pub(super) request: Form,
    pub(super) reply: Form,
}

/// The parameters of a key, and their words.
pub(super) type Words<'n> = Vec<(&'static str, &'n str)>;

impl<'n> Found<'n> {
    fn by(route: &Route) -> Self {
        let key = route.key.map_or_else(|| Cow::Owned(format!("{METHODS}{}", route.method)), Cow::Borrowed);
        Found {
            class: Cow::Borrowed(route.class),
            method: Cow::Borrowed(route.method),
            exchange: Cow::Borrowed(route.exchange.unwrap_or(route.class)),
            key,
            request: route.request,
            reply: route.reply,
        }
    }

    fn by_name(class: &'n str, method: &'n str) -> Self {
        let usual = Route::new("", "");
        Found {
            class: Cow::Borrowed(class),
            method: Cow::Borrowed(method),
            exchange: Cow::Borrowed(class),
            key: Cow::Owned(format!("{METHODS}{method}")),
            request: usual.request,
            reply: usual.reply,
        }
    }
}

impl Table {
    pub(super) fn add_routes(&mut self, routes: &[Route]) {
        self.routes.extend_from_slice(routes);
    }

    pub(super) fn add_events(&mut self, events: &[EventRoute]) {
        self.events.extend_from_slice(events);
    }

    pub(super) fn add_exchanges(&mut self, exchanges: &[&'static str]) {
        self.exchanges.extend_from_slice(exchanges);
    }

    pub(super) fn add_contract(&mut self, contract: &'static Contract) {
        self.contracts.push(contract);
    }

    pub(super) fn narrow(&mut self, class: Text, parameter: Text, word: Text) {
        self.narrowed.retain(|n| n.class != class || n.parameter != parameter);
        self.narrowed.push(Narrowed { class, parameter, word });
    }

    /// Where a method is that is to be called.
    pub(super) fn of<'n>(&self, class: &'n str, method: &'n str) -> Found<'n> {
        match self.routes.iter().rev().find(|route| route.class == class && route.method == method) {
            Some(route) => Found::by(route),
            None => Found::by_name(class, method),
        }
    }

    /// The methods that a request on an exchange may be for, the one that counts first, with the parameters of its key. There is more
    /// than one where a method was written otherwise in another generation.
    pub(super) fn at<'n>(&self, exchange: &'n str, key: &'n str) -> Vec<(Found<'n>, Words<'n>)> {
        let mut found: Vec<(Found<'n>, Words<'n>)> = Vec::new();
        for route in self.routes.iter().rev() {
            if route.exchange.unwrap_or(route.class) != exchange {
                continue;
            }
            match route.key {
                Some(template) => {
                    if let Some(parameters) = key::read(template, key) {
                        found.push((Found::by(route), parameters));
                    }
                }
                None if key.strip_prefix(METHODS) == Some(route.method) => found.push((Found::by(route), Vec::new())),
                None => {}
            }
        }
        // Of two templates the one that says more.
        found.sort_by_key(|(found, _)| std::cmp::Reverse(key::fixed(&found.key)));
        if found.is_empty()
            && let Some(method) = key.strip_prefix(METHODS).filter(|method| !method.contains('.'))
        {
            found.push((Found::by_name(exchange, method), Vec::new()));
        }
        found
    }

    /// What is known of a method's contract.
    pub(super) fn contract(&self, class: &str, method: &str) -> Option<&'static Method> {
        let contracts = self.contracts.iter().rev().filter(|contract| contract.name == class);
        contracts.filter_map(|contract| contract.methods.get(contract.position(method)?)).next()
    }

    /// The exchanges and the patterns of keys that an agent of these contracts listens for.
    pub(super) fn served(&self, contracts: &[&'static Contract]) -> Vec<(String, Vec<Text>)> {
        let mut all = Vec::new();
        for contract in contracts {
            // Whoever answers for one machine, and is not understood, would answer for all.
            if let Some(Narrowed { class, parameter, word }) = self.misnarrowed(contract) {
                tracing::error!(%class, %parameter, %word, "no requests of this class are listened for: `only` names what is no parameter of its keys, or no word");
                continue;
            }
            let narrowed = |parameter: &str| {
                let mut words = self.narrowed.iter().filter(|n| n.class == *contract.name && n.parameter == *parameter);
                words.next().map(|n| &*n.word)
            };
            for found in self.routes_of(contract) {
                add(&mut all, &found.exchange, Text::from(key::pattern(&found.key, narrowed)));
            }
        }
        all
    }

    /// Where the methods of a contract are, in all the ways in which they may be written.
    fn routes_of(&self, contract: &'static Contract) -> Vec<Found<'static>> {
        let names = contract.methods.iter().flat_map(|method| [method.name].into_iter().chain(method.aliases.iter().copied()));
        let all = names.flat_map(|name| {
            let listed = self.routes.iter().filter(|route| route.class == contract.name && route.method == name);
            let mut listed: Vec<_> = listed.map(Found::by).collect();
            if listed.is_empty() {
                listed.push(Found::by_name(contract.name, name));
            }
            listed
        });
        all.collect()
    }

    /// What a class is narrowed to that its keys cannot be.
    fn misnarrowed(&self, contract: &'static Contract) -> Option<&Narrowed> {
        let mut narrowed = self.narrowed.iter().filter(|narrowed| narrowed.class == *contract.name);
        narrowed.find(|narrowed| {
            let known = |found: &Found<'_>| key::has(&found.key, &narrowed.parameter);
            !key::is_word(&narrowed.word) || !self.routes_of(contract).iter().any(known)
        })
    }

    /// Where an event is published, by its key, and the name of its body's type.
    pub(super) fn event(&self, key: &str) -> (&'static str, &'static str) {
        let matching = self.events.iter().filter(|event| overlap(event.pattern, key));
        match matching.max_by_key(|event| key::fixed(event.pattern)) {
            Some(event) => (event.exchange, event.kind),
            None => (EVENTS, OBJECT),
        }
    }

    /// The exchanges and the patterns of keys that a subscriber to these patterns listens for.
    pub(super) fn subscribed(&self, patterns: &[Text]) -> Vec<(String, Vec<Text>)> {
        let mut all = Vec::new();
        for pattern in patterns {
            // Whoever asks for the pattern of a route asks for that exchange; anybody else for all that it can be.
            if let Some(exact) = self.events.iter().rev().find(|event| event.pattern == &**pattern) {
                add(&mut all, exact.exchange, pattern.clone());
                continue;
            }
            if !pattern.split('.').any(|word| matches!(word, "*" | "#")) {
                add(&mut all, self.event(pattern).0, pattern.clone());
                continue;
            }
            let possible = self.events.iter().filter(|event| overlap(event.pattern, pattern)).map(|event| event.exchange);
            for exchange in [EVENTS].into_iter().chain(possible) {
                add(&mut all, exchange, pattern.clone());
            }
        }
        all
    }

    /// The exchanges that there are, by their plain names.
    pub(super) fn exchanges(&self) -> Vec<&str> {
        let routes = self.routes.iter().map(|route| route.exchange.unwrap_or(route.class));
        let contracts = self.contracts.iter().flat_map(|contract| {
            let unrouted = |name: &str| !self.routes.iter().any(|route| route.class == contract.name && route.method == name);
            contract.methods.iter().any(|method| unrouted(method.name)).then_some(contract.name)
        });
        let events = self.events.iter().map(|event| event.exchange).chain([EVENTS]);
        let mut all: Vec<&str> = routes.chain(contracts).chain(events).chain(self.exchanges.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn add(all: &mut Vec<(String, Vec<Text>)>, exchange: &str, pattern: Text) {
    match all.iter_mut().find(|(name, _)| name == exchange) {
        Some((_, patterns)) if patterns.contains(&pattern) => {}
        Some((_, patterns)) => patterns.push(pattern),
        None => all.push((exchange.to_owned(), vec![pattern])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &[Route] = &[
        Route::new("task", "run").key("run.{taskId}"),
        Route::new("task", "ipmi").key("ipmi.command.{command}.{graphId}"),
        Route::new("task", "cancel").key("{domain}.cancel"),
        Route::new("task", "cancelAll").key("methods.cancel"),
    ];
    const EVENTS: &[EventRoute] = &[
        EventRoute::new("warning").exchange("logging").of("LogEvent"),
        EventRoute::new("poller.alert.*").of("Result"),
        EventRoute::new("*.updated.*").exchange("waterline"),
    ];

    fn table() -> Table {
        Table { routes: ROUTES.to_vec(), events: EVENTS.to_vec(), ..Table::default() }
    }

    #[test]
    fn a_key_is_its_most_exact_template_s() {
        let table = table();
        let at = |key| table.at("task", key).first().map(|(found, _)| found.method.to_string());
        assert_eq!(at("run.t1").as_deref(), Some("run"));
        assert_eq!(at("methods.cancel").as_deref(), Some("cancelAll"));
        assert_eq!(at("default.cancel").as_deref(), Some("cancel"));
        // Nothing is listed for it: its names say what it is.
        assert_eq!(at("methods.other").as_deref(), Some("other"));
        assert_eq!(at("methods.other.n1"), None);
        assert_eq!(at("other"), None);
    }

    #[test]
    fn events_are_where_their_routes_say() {
        let table = table();
        assert_eq!(table.event("warning"), ("logging", "LogEvent"));
        assert_eq!(table.event("poller.alert.u"), ("events", "Result"));
        assert_eq!(table.event("nodes.updated.n"), ("waterline", "Object"));
        assert_eq!(table.event("dog.barked.rex"), ("events", "Object"));
        let subscribed = |patterns: &[&'static str]| {
            let patterns: Vec<_> = patterns.iter().copied().map(Text::from_static).collect();
            table.subscribed(&patterns).into_iter().map(|(exchange, _)| exchange).collect::<Vec<_>>()
        };
        assert_eq!(subscribed(&["warning"]), ["logging"]);
        assert_eq!(subscribed(&["*.updated.*"]), ["waterline"]);
        assert_eq!(subscribed(&["nodes.updated.n1"]), ["waterline"]);
        assert_eq!(subscribed(&["poller.alert.*", "dog.barked.*"]), ["events"]);
        assert_eq!(subscribed(&["nodes.*.n1"]), ["events", "waterline"]);
        assert_eq!(subscribed(&["#"]), ["events", "logging", "waterline"]);
    }
}
