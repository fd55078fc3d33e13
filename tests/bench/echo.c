/* The least that a ncurses program can do with a key: show it. What the studio's delay is compared with. */
#include <curses.h>
#include <locale.h>
#include <stdio.h>

int main(void)
{
    setlocale(LC_CTYPE, "");
    initscr();
    raw();
    noecho();
    mvaddstr(0, 0, "ready");
    refresh();
    for (;;) {
        wint_t key;
        if (get_wch(&key) == ERR || key == 3) break;
        wchar_t text[2] = {(wchar_t)key, 0};
        erase();
        mvaddwstr(1, 0, text);
        refresh();
    }
    endwin();
    return 0;
}
