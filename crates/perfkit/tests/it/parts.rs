//! Parts to be shown, and a client without a network.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use perfkit::core::{Health, Inspect, Sample};
use std::borrow::Cow;
use tower::ServiceExt;

/// A part that says whatever it is told.
pub(crate) struct Puppet {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) samples: Vec<Sample>,
}

impl Puppet {
    pub(crate) fn new(kind: &'static str, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            health: Health::Healthy,
            samples: Vec::new(),
        }
    }

    pub(crate) fn with_health(self, health: Health) -> Self {
        Self { health, ..self }
    }
}

impl Inspect for Puppet {
    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.extend(self.samples.iter().cloned());
    }
}

/// What a route answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("it is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("it is text")
    }
}

pub(crate) async fn ask(
    router: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = router
        .clone()
        .oneshot(request)
        .await
        .expect("it never fails");
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        text: String::from_utf8(bytes.into()).expect("it is text"),
    }
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    ask(router, Method::GET, path, &[]).await
}
