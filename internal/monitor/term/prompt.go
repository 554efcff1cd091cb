package term

import (
	"unicode"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
)

// prompt is a question in the status line. It wants a text, one of choices, or a y.
type prompt struct {
	label   string
	text    string
	choices []string
	choice  int
	confirm bool // only y is yes: Enter alone does nothing

	typed  func(text string) // with every change
	enter  func(text string) // of choices, the chosen one
	cancel func()
	cursor int // where it stands on the screen, -1 for none
}

// longest is how much text a prompt takes, in bytes.
const longest = 200

// key takes a key, and says whether the question is over.
func (p *prompt) key(ev *tcell.EventKey) bool {
	switch {
	case ev.Key() == tcell.KeyEscape || ev.Key() == tcell.KeyCtrlC,
		p.confirm && (ev.Rune() == 'n' || ev.Rune() == 'N'):
		if p.cancel != nil {
			p.cancel()
		}
		return true
	case p.confirm:
		if ev.Rune() != 'y' && ev.Rune() != 'Y' {
			return false
		}
		p.enter("y")
		return true
	case ev.Key() == tcell.KeyEnter:
		if p.choices != nil {
			p.text = p.choices[p.choice]
		}
		p.enter(p.text)
		return true
	case p.choices != nil:
		p.choose(ev)
	default:
		p.edit(ev)
	}
	return false
}

func (p *prompt) choose(ev *tcell.EventKey) {
	n := len(p.choices)
	switch ev.Key() {
	case tcell.KeyRight, tcell.KeyDown, tcell.KeyTab:
		p.choice = (p.choice + 1) % n
	case tcell.KeyLeft, tcell.KeyUp, tcell.KeyBacktab:
		p.choice = (p.choice + n - 1) % n
	case tcell.KeyRune: // the next one that begins with the letter
		for step := 1; step <= n; step++ {
			i := (p.choice + step) % n
			if rune(p.choices[i][0]) == unicode.ToUpper(ev.Rune()) {
				p.choice = i
				return
			}
		}
	}
}

func (p *prompt) edit(ev *tcell.EventKey) {
	before := p.text
	switch ev.Key() {
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		_, n := utf8.DecodeLastRuneInString(p.text)
		p.text = p.text[:len(p.text)-n]
	case tcell.KeyCtrlU:
		p.text = ""
	case tcell.KeyRune:
		if len(p.text) < longest {
			p.text += string(ev.Rune())
		}
	}
	if p.typed != nil && p.text != before {
		p.typed(p.text)
	}
}

func (p *prompt) draw(g *grid, y int) {
	p.cursor = -1
	x := g.text(0, y, g.w, p.label, strong)
	switch {
	case p.confirm:
		g.text(x, y, g.w-x, "  y/n ", warn)
	case p.choices != nil:
		// Those to the left go out of sight when there is no room for all.
		first, room := p.choice, max(g.w-x, 1)
		for need := len(p.choices[first]) + 2; first > 0; first-- {
			if need += len(p.choices[first-1]) + 2; need > room {
				break
			}
		}
		for i := first; i < len(p.choices); i++ {
			l := plain
			if i == p.choice {
				l = selected
			}
			x = g.text(x+1, y, g.w-x-1, p.choices[i], l) + 1
		}
	default:
		// Of a long text the end is what one types at.
		text := p.text
		for uint(len(text)) > uint(max(g.w-x-1, 0)) {
			_, n := utf8.DecodeRuneInString(text)
			text = text[n:]
		}
		p.cursor = min(g.text(x, y, g.w-x, text, plain), g.w-1)
	}
}
