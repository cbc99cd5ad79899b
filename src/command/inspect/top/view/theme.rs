//! The styles of the screen.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the screen. Without colours it has bold and reversed text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    has_colours: bool,
}

impl Theme {
    /// Creates the styles, with or without colours.
    pub(crate) fn new(has_colours: bool) -> Theme {
        Theme { has_colours }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.has_colours { style.fg(colour) } else { style }
    }

    pub(super) fn head(self) -> Style {
        self.coloured(Style::new().add_modifier(Modifier::BOLD), Color::Cyan)
    }

    pub(super) fn selected_tab(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn titles(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    pub(super) fn row(self, is_selected: bool, is_alert: bool) -> Style {
        let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        if is_alert { self.coloured(style, Color::Yellow) } else { style }
    }

    pub(super) fn alert(self) -> Style {
        self.coloured(Style::new().add_modifier(Modifier::REVERSED), Color::Yellow)
    }

    pub(super) fn notice(self, is_error: bool) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(style, if is_error { Color::Red } else { Color::Green })
    }
}
