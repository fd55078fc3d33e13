# A screen as tmux captures it, in one form for all that look alike: attributes are said before a character that shows them,
# each line by itself. What colour a blank would have had is left out, and so are blanks at the end of a line, of which
# versions of tmux report more or fewer.
function take(parameters,    count, part, at) {
    count = split(parameters, part, ";")
    if (count == 0) part[count = 1] = 0
    for (at = 1; at <= count; at++) {
        code = part[at] + 0
        if (code == 0) bold = dim = italic = underlined = reverse = fore = back = ""
        else if (code == 1) bold = ";1"
        else if (code == 2) dim = ";2"
        else if (code == 3) italic = ";3"
        else if (code == 4) underlined = ";4"
        else if (code == 7) reverse = ";7"
        else if (code == 22) bold = dim = ""
        else if (code == 23) italic = ""
        else if (code == 24) underlined = ""
        else if (code == 27) reverse = ""
        else if (code == 39) fore = ""
        else if (code == 49) back = ""
        else if (code == 38) { fore = ";38;" part[at + 1] ";" part[at + 2]; at += 2 }
        else if (code == 48) { back = ";48;" part[at + 1] ";" part[at + 2]; at += 2 }
        else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) fore = ";" code
        else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) back = ";" code
    }
}
{
    line = $0
    written = said = blanks = ""
    end = 0 # of what is written up to the last character that is no blank
    while (length(line) > 0) {
        if (match(line, /^\033\[[0-9;]*m/)) {
            take(substr(line, 3, RLENGTH - 3))
            line = substr(line, RLENGTH + 1)
            continue
        }
        character = substr(line, 1, 1)
        line = substr(line, 2)
        shown = underlined reverse back
        if (character != " ") shown = shown bold dim italic fore
        if (character == " " && shown == "") {
            blanks = blanks " "
            continue
        }
        if (blanks != "") { # they are written without attributes
            if (said != "" && said ~ /;(4|7|48|4[0-7]|10[0-7])/) { written = written "\033[0m"; said = "" }
            written = written blanks
            blanks = ""
        }
        if (shown != said) written = written "\033[0" shown "m"
        said = shown
        written = written character
        if (character != " ") end = length(written)
    }
    print substr(written, 1, end)
}
