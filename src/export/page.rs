//! Steps as one HTML page that needs nothing else: no network, no server, and without its script all steps stand one below the
//! other. Names in it come from whoever was recorded: everything is escaped. Step: view → **outside**.

use super::cell::ground;
use super::scene::{Scene, answer};
use super::svg::to_svg;
use crate::text::is_hidden;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page. A scene's first screen is for wide windows, its second, if it has one, for narrow ones.
pub fn to_html(title: &str, scenes: &[Scene]) -> String {
    let title = escaped(title);
    let steps: String = (scenes.iter().enumerate())
        .map(|(at, scene)| step(at + 1, scenes.len(), scene))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="generator" content="loopscope {version}">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{steps}</main>
<nav><button type="button">Back</button><output></output><button type="button">Next</button><span class="keys">← → PgUp PgDn Space, 1 to 4 answers</span></nav>
<script>
{SCRIPT}</script>
</body>
</html>
"##
    )
}

fn step(number: usize, of: usize, scene: &Scene) -> String {
    let mut screens = String::new();
    let classes: &[&str] = match scene.screens.len() {
        1 => &["always"],
        _ => &["wide", "narrow"],
    };
    for (class, screen) in classes.iter().zip(&scene.screens) {
        screens.push_str(&format!(
            "<div class=\"{class}\" aria-hidden=\"true\">\n{}</div>\n",
            to_svg(screen)
        ));
    }
    let asked = scene.question.as_ref().map_or_else(String::new, |asked| {
        let choices: String = (asked.choices.iter().enumerate())
            .map(|(at, choice)| {
                let (key, choice) = (at + 1, escaped(choice));
                format!("<li><button type=\"button\" value=\"{key}\"><b>{key}</b>{choice}</button></li>\n")
            })
            .collect();
        format!(
            "<p class=\"asked\">{}</p>\n<ol>\n{choices}</ol>\n<details data-right=\"{}\"><summary>Answer</summary>\n\
             <p><span class=\"verdict\">It is </span>{}.</p>\n<p class=\"why\">{}</p></details>\n",
            escaped(&asked.text),
            asked.right + 1,
            escaped(&answer(asked)),
            escaped(&asked.why)
        )
    });
    // It goes on beside a screen that is not as wide as the window.
    let ground = scene.screens.first().map_or_else(String::new, |screen| {
        format!(" style=\"background:{}\"", ground(screen))
    });
    let class = match asked.is_empty() {
        true => "",
        false => " class=\"asks\"",
    };
    format!(
        "<section id=\"step-{number}\"{class}>\n<h2><span>{number} of {of}</span> {}</h2>\n<figure{ground}>\n{screens}</figure>\n\
         <p class=\"caption\">{}</p>\n{asked}</section>\n",
        escaped(&scene.title),
        escaped(&scene.caption)
    )
}

/// As text or an attribute's value.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::Question;
    use ratatui::buffer::Buffer;

    #[test]
    fn whatever_it_is_called_it_is_text() {
        let evil = "</script><script>alert(1)</script>\u{1b}[2J\u{202e}\"'><img src=x onerror=alert(2)>&amp;";
        let scene = Scene {
            title: evil.into(),
            caption: evil.into(),
            question: Some(Question {
                text: evil.into(),
                choices: vec![evil.into(), "no".into()],
                right: 0,
                why: evil.into(),
            }),
            notes: String::new(),
            screens: vec![Buffer::with_lines([evil])],
        };
        let page = to_html(evil, &[scene]);
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(!page.contains("<img"));
        assert!(page.chars().all(|c| c == '\n' || !is_hidden(c)));
        // Nothing is fetched: the one address is the name of a language.
        assert_eq!(
            page.matches("://").count(),
            page.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
