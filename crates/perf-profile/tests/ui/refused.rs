//! What `#[profile]` refuses, each at the place that is wrong.

use perf_profile::profile;

#[profile]
const fn constant() -> u8 { //~ ERROR a `const fn` cannot be profiled
    7
}

#[profile(title = "seven")] //~ ERROR expected `lines`, `skip`, `name = "…"` or `crate = …`
fn argument() {}

#[profile(name = 7)] //~ ERROR expected string literal
fn name() {}

#[profile(name)] //~ ERROR expected `=`
fn no_name() {}

#[profile(lines = true)] //~ ERROR expected `,`
fn lines() {}

#[profile]
struct Type; //~ ERROR expected `fn`
