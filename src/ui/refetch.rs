//! Data that the browser reads again after a change.

use leptos::prelude::*;

/// Returns a signal that starts with the data of the page and calls `fetch` again whenever `source` changes.
pub fn refetching_signal<S, T, F>(
    first: T,
    source: impl Fn() -> S + 'static,
    fetch: impl Fn(S) -> F + 'static,
) -> RwSignal<T>
where
    S: PartialEq + Clone + 'static,
    T: Send + Sync + 'static,
    F: Future<Output = T> + 'static,
{
    let data = RwSignal::new(first);
    // Two responses can arrive in any order. The response to the latest request counts.
    let latest = StoredValue::new(0_u32);
    Effect::new(move |before: Option<S>| {
        let now = source();
        if before.is_some_and(|before| before != now) {
            latest.update_value(|n| *n += 1);
            let (number, response) = (latest.get_value(), fetch(now.clone()));
            leptos::task::spawn_local(async move {
                let response = response.await;
                if latest.try_get_value() == Some(number) {
                    data.set(response);
                }
            });
        }
        now
    });
    data
}
