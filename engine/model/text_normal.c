/* Normalisation form C, lower case, and one space for every run of spaces. */
#include "engine/model/text_normal.h"

size_t text_normalize(const uint32_t *codes, size_t count, uint32_t *scratch, uint32_t *output)
{
    size_t composed = unicode_compose(codes, count, scratch), length = 0;
    for (size_t i = 0; i < composed; i++) {
        if (!unicode_is_space(scratch[i])) {
            uint32_t lower[UNICODE_LONGEST_LOWER];
            int longer = unicode_to_lower(scratch[i], lower);
            for (int j = 0; j < longer; j++) output[length++] = lower[j];
        } else if (i == 0 || !unicode_is_space(scratch[i - 1])) {
            output[length++] = ' ';
        }
    }
    return length;
}
