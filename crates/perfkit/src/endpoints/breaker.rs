use super::EndpointsBuilder;
use super::actions::Operable;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use perf_breaker::{CircuitBreaker, Hold};
use perf_core::Inspect;
use std::sync::Arc;

impl EndpointsBuilder {
    /// Lets those who may act open, close and reset a breaker. To be seen, it is registered besides.
    ///
    /// ```
    /// use perfkit::breaker::CircuitBreaker;
    /// use perfkit::core::Registry;
    /// use perfkit::endpoints::Endpoints;
    ///
    /// let (registry, weather) = (Registry::new(), CircuitBreaker::new("weather"));
    /// weather.register(&registry);
    /// let endpoints = Endpoints::builder(&registry)
    ///     .breaker(&weather)
    ///     .actions(|head| head.headers.contains_key("x-operator"))
    ///     .build();
    /// ```
    pub fn breaker<C: Clone + Send + Sync + 'static>(
        mut self,
        breaker: &CircuitBreaker<C>,
    ) -> Self {
        self.operables.push(Arc::new(breaker.clone()));
        self
    }
}

impl<C: Send + Sync> Operable for CircuitBreaker<C> {
    fn kind(&self) -> &'static str {
        Inspect::kind(self)
    }

    fn name(&self) -> String {
        Inspect::name(self).into_owned()
    }

    fn actions(&self) -> &'static [&'static str] {
        &["open", "close", "reset"]
    }

    fn perform<'a>(
        &'a self,
        action: &'a str,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>> {
        match action {
            "open" => self.hold(Hold::Open),
            "close" => self.hold(Hold::Closed),
            _ => self.reset(),
        }
        ready(Ok(())).boxed()
    }
}
