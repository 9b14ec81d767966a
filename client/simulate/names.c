/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "client/simulate/names.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const org_first[] = { "aurora", "basalt",  "cobalt", "drift",  "ember",  "fjord",  "garnet", "harbor",
                                         "indigo", "juniper", "kelp",   "lumen",  "meadow", "nimbus", "opal",   "pebble",
                                         "quartz", "rowan",   "saffron", "tundra", "umber", "verdant", "willow", "zephyr" };
static const char *const org_second[] = { "lab", "works", "research", "ai", "forge", "collective", "systems", "garden",
                                          "compute", "foundry", "commons", "institute" };
static const char *const family[] = { "Polaris",  "Heron",   "Basilisk", "Cirrus",  "Delphin", "Egret",  "Fulgur", "Gannet",
                                      "Halcyon",  "Ibis",    "Jacana",   "Kestrel", "Linnet",  "Merlin", "Nightjar", "Osprey",
                                      "Petrel",   "Quetzal", "Redstart", "Siskin",  "Tanager", "Umbra",  "Vireo",  "Wren" };
static const char *const size_name[] = { "7B", "1.5B", "13B", "3B", "70B", "0.5B", "32B", "8B" };
static const char *const variant[] = { "", "-Instruct", "-Code", "-Math", "-Vision", "-Chat" };
static const char *const tag[] = { "sft", "lora", "dpo", "tuned", "chat", "ft", "med", "law", "code", "rp", "story", "sql" };

size_t bg_names_org(char text[BG_NAMES_MAX], uint32_t org)
{
        uint32_t n = N_OF(org_first) * N_OF(org_second), k = org % n;
        /* the second word moves on with the first, so that neighbours in the list differ in both */
        uint32_t first = k % N_OF(org_first), second = (k / N_OF(org_first) + first) % N_OF(org_second);
        int len = org < n ? snprintf(text, BG_NAMES_MAX, "%s-%s", org_first[first], org_second[second])
                          : snprintf(text, BG_NAMES_MAX, "%s-%s-%u", org_first[first], org_second[second], org / n + 1);

        return (size_t)len;
}

size_t bg_names_model(char text[BG_NAMES_MAX], uint32_t org, uint32_t k)
{
        size_t len = bg_names_org(text, org);
        uint32_t size = k % N_OF(size_name), rest = k / N_OF(size_name);
        uint32_t kind = rest % N_OF(variant), generation;
        const char *name;

        rest /= N_OF(variant);
        name = family[(rest + org * 7) % N_OF(family)]; /* an organisation starts with a family of its own */
        generation = rest / N_OF(family) + 1;
        if (generation == 1)
                len += (size_t)snprintf(text + len, BG_NAMES_MAX - len, "/%s-%s%s", name, size_name[size], variant[kind]);
        else
                len += (size_t)snprintf(text + len, BG_NAMES_MAX - len, "/%s-%u-%s%s", name, generation, size_name[size],
                                        variant[kind]);
        return len;
}

static size_t base36(char *text, uint32_t number)
{
        char digits[8];
        size_t n = 0;

        do {
                digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
                number /= 36;
        } while (number);
        for (size_t i = 0; i < n; i++)
                text[i] = digits[n - 1 - i];
        return n;
}

size_t bg_names_author(char text[BG_NAMES_MAX], uint32_t author)
{
        static const char consonant[] = "bdfgklmnprstvz", vowel[] = "aeiou";
        /* a bijection of 32 bits: authors next to each other in number look unrelated */
        uint32_t x = author * UINT32_C(2654435761);
        size_t n = 0;

        for (int i = 0; i < 3; i++) {
                text[n++] = consonant[x % 14];
                x /= 14;
                text[n++] = vowel[x % 5];
                x /= 5;
        }
        if (x) {
                text[n++] = '-';
                n += base36(text + n, x);
        }
        text[n] = '\0';
        return n;
}

size_t bg_names_child(char *text, size_t size, const char *model, uint32_t author, uint32_t child)
{
        size_t len_model = strlen(model), n = bg_names_author(text, author);
        const char *t = tag[(child * 2654435761u >> 16) % N_OF(tag)];
        size_t len_tag = strlen(t);

        if (n + len_model + len_tag + 11 > size)
                return 0;
        text[n++] = '/';
        memcpy(text + n, model, len_model);
        n += len_model;
        text[n++] = '-';
        memcpy(text + n, t, len_tag);
        n += len_tag;
        text[n++] = '-';
        n += base36(text + n, child);
        text[n] = '\0';
        return n;
}
