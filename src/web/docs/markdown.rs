//! Markdown to HTML: headings with anchors, code with its language, tables that scroll, and links to pages of this server.

use std::collections::HashMap;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Bytes of the description of a page; search engines show about as much.
const MAX_DESCRIPTION: usize = 160;

/// A document as HTML.
#[derive(Debug)]
pub struct Rendered {
    pub title: String,
    /// The first paragraph, as text.
    pub description: String,
    pub html: String,
    pub headings: Vec<Heading>,
}

/// A heading below the title.
#[derive(Debug)]
pub struct Heading {
    pub level: HeadingLevel,
    pub id: String,
    pub text: String,
}

/// Renders a file of the repository. `page_path` returns the path of another file's page.
pub fn render(file: &str, text: &str, page_path: impl Fn(&str) -> Option<String>) -> Rendered {
    let mut writer = Writer::default();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let target = target(file, &dest_url, &page_path);
                let link = |url: String| Tag::Link { link_type, dest_url: url.into(), title, id };
                writer.start_link(target.map(|url| Event::Start(link(url))));
            }
            event => writer.write(event),
        }
    }
    writer.finish()
}

/// Returns where a link leads: to a page of this server, to another site, or (as an error) to a file of the repository that has
/// no page.
fn target(file: &str, link: &str, page_path: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    if link.starts_with('#') || link.contains(':') {
        return Ok(link.to_owned());
    }
    let (path, anchor) = link.split_once('#').map_or((link, String::new()), |(path, id)| (path, format!("#{id}")));
    let path = resolve(file, path);
    page_path(&path).map(|page| page + &anchor).ok_or(path)
}

/// Returns the path from the root of the repository of a link in a file.
pub fn resolve(file: &str, link: &str) -> String {
    let mut path: Vec<_> = file.split('/').collect();
    path.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." => {}
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Returns the anchor of a heading, as GitHub makes it.
pub fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Collects the events of a document, with those of its headings, code, tables and links replaced.
#[derive(Default)]
struct Writer<'a> {
    events: Vec<Event<'a>>,
    title: String,
    description: String,
    headings: Vec<Heading>,
    /// How often each anchor was made.
    anchors: HashMap<String, usize>,
    /// Text of the paragraph, heading or code that is open.
    text: String,
    /// Where the open heading begins in `events`.
    heading_start: usize,
    /// The language of the open block of code.
    code: Option<String>,
    /// Open link to a file without a page: its path, and where its label begins in `text`.
    file_link: Option<(String, usize)>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, event: Event<'a>) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                self.text.clear();
                self.heading_start = self.events.len();
            }
            Event::End(TagEnd::Heading(level)) => self.end_heading(level),
            Event::Start(Tag::CodeBlock(kind)) => {
                self.text.clear();
                let language =
                    if let CodeBlockKind::Fenced(language) = kind { language.to_string() } else { String::new() };
                self.code = Some(language);
            }
            Event::End(TagEnd::CodeBlock) => self.end_code(),
            Event::Text(text) if self.code.is_some() => self.text += &text,
            Event::Start(Tag::Table(columns)) => {
                let label = escape(self.headings.last().map_or(&self.title, |heading| &heading.text));
                self.raw(format!("<div class=\"doc-table\" role=\"group\" aria-label=\"{label}\" tabindex=\"0\">"));
                self.events.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                self.events.push(event);
                self.raw("</div>".to_owned());
            }
            Event::End(TagEnd::Link) => self.end_link(),
            // Comments for the tests.
            Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            event => self.keep(event),
        }
    }

    fn keep(&mut self, event: Event<'a>) {
        match &event {
            Event::Start(Tag::Paragraph) => self.text.clear(),
            Event::End(TagEnd::Paragraph) if self.description.is_empty() => self.description = shorten(&self.text),
            Event::Text(text) | Event::Code(text) => self.text += text,
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            _ => {}
        }
        self.events.push(event);
    }

    fn raw(&mut self, html: String) {
        self.events.push(Event::Html(html.into()));
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        if level == HeadingLevel::H1 {
            self.title.clone_from(&self.text);
            self.events.insert(self.heading_start, Event::Html("<h1>".into()));
            return self.raw("</h1>\n".to_owned());
        }
        let mut id = slug(&self.text);
        let times = self.anchors.entry(id.clone()).or_default();
        if *times > 0 {
            id = format!("{id}-{times}");
        }
        *times += 1;
        let open = format!("<{level} id=\"{id}\"><a href=\"#{id}\">");
        self.events.insert(self.heading_start, Event::Html(open.into()));
        self.raw(format!("</a></{level}>\n"));
        self.headings.push(Heading { level, id, text: self.text.clone() });
    }

    fn end_code(&mut self) {
        let language = self.code.take().unwrap_or_default();
        let label = label_of(language.split_whitespace().next().unwrap_or_default());
        let label =
            label.map(|label| format!("<span class=\"doc-language\">{}</span>", escape(label))).unwrap_or_default();
        let code = escape(&self.text);
        self.raw(format!(
            "<div class=\"doc-code\">{label}<pre class=\"code\" tabindex=\"0\"><code>{code}</code></pre></div>\n"
        ));
    }

    /// Begins a link, or the label of a file that has no page.
    fn start_link(&mut self, link: Result<Event<'a>, String>) {
        match link {
            Ok(link) => self.events.push(link),
            Err(path) => self.file_link = Some((path, self.text.len())),
        }
    }

    /// Ends a link. The path of a file without a page follows its label.
    fn end_link(&mut self) {
        match self.file_link.take() {
            None => self.events.push(Event::End(TagEnd::Link)),
            Some((path, label)) if self.text.get(label..).is_some_and(|label| path.ends_with(label)) => {}
            Some((path, _)) => self.raw(format!(" (<code>{}</code>)", escape(&path))),
        }
    }

    fn finish(self) -> Rendered {
        let Self { events, title, description, headings, .. } = self;
        let mut rendered = String::new();
        html::push_html(&mut rendered, events.into_iter());
        Rendered { title, description, html: rendered, headings }
    }
}

/// Returns the label above code in a language.
fn label_of(language: &str) -> Option<&str> {
    match language {
        "" | "text" => None,
        "sh" => Some("Shell"),
        "json" => Some("JSON"),
        "yaml" => Some("YAML"),
        "js" => Some("JavaScript"),
        "python" => Some("Python"),
        "rust" => Some("Rust"),
        "go" => Some("Go"),
        "sql" => Some("SQL"),
        "ini" => Some("Unit file"),
        "caddy" => Some("Caddy"),
        "haproxy" => Some("HAProxy"),
        "lua" => Some("Lua"),
        language => Some(language),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns the sentences of a paragraph that fit into a description.
fn shorten(text: &str) -> String {
    let mut end = text.len();
    while end > MAX_DESCRIPTION {
        match text[..end - 1].rfind(". ") {
            Some(stop) => end = stop + 1,
            None => break,
        }
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let page = |file: &str| (file == "docs/deploy.md").then(|| "/docs/deploy".to_owned());
        render("docs/here.md", text, page).html
    }

    #[test]
    fn headings_have_the_anchors_of_github() {
        let rendered = render("docs/here.md", "# Title `x`\n\n## `/api/v1/verify`\n\n## A, b?\n\n### A, b?", |_| None);
        assert_eq!(rendered.title, "Title x");
        let ids: Vec<_> = rendered.headings.iter().map(|heading| heading.id.as_str()).collect();
        assert_eq!(ids, ["apiv1verify", "a-b", "a-b-1"]);
        assert!(rendered.html.starts_with("<h1>Title <code>x</code></h1>"), "{}", rendered.html);
        assert!(rendered.html.contains("<h3 id=\"a-b-1\"><a href=\"#a-b-1\">A, b?</a></h3>"), "{}", rendered.html);
    }

    #[test]
    fn links_lead_to_pages_or_name_the_file() {
        assert!(html("[a](deploy.md#tls)").contains("<a href=\"/docs/deploy#tls\">a</a>"));
        assert!(html("[a](../docs/deploy.md)").contains("<a href=\"/docs/deploy\">a</a>"));
        assert!(html("[a](https://example.com/)").contains("<a href=\"https://example.com/\">a</a>"));
        assert_eq!(
            html("See [the example](../examples/own_app)."),
            "<p>See the example (<code>examples/own_app</code>).</p>\n"
        );
        assert_eq!(html("See [examples/own_app](../examples/own_app)."), "<p>See examples/own_app.</p>\n");
    }

    #[test]
    fn code_is_escaped_and_html_is_dropped() {
        let code = html("<!-- not run: x -->\n```sh\ncat <in >out && \"x\"\n```\n\na <b>b</b>");
        assert!(code.contains("Shell</span><pre class=\"code\" tabindex=\"0\"><code>cat &lt;in &gt;out &amp;&amp; &quot;x&quot;\n</code>"), "{code}");
        assert!(!code.contains("<!--") && !code.contains("<b>"), "{code}");
    }

    #[test]
    fn description_is_whole_sentences() {
        let text = format!("A sentence of words. {}", "Another one that is long. ".repeat(20));
        let short = shorten(&text);
        assert!(short.len() <= MAX_DESCRIPTION && short.ends_with("long."), "{short}");
    }
}
