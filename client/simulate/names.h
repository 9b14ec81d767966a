/* SPDX-License-Identifier: MIT */
#ifndef BURGEON_CLIENT_SIMULATE_NAMES_H
#define BURGEON_CLIENT_SIMULATE_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* Invented names, all of them: unique by construction (a number decodes to one name), plausible to the eye. */

#define BG_NAMES_MAX 96

/** Organisation number -> `aurora-lab`. Every number has its own name. Return: length. */
size_t bg_names_org(char text[BG_NAMES_MAX], uint32_t org);
/** The k-th model of an organisation -> `aurora-lab/Polaris-7B`. Every (org, k) has its own name. */
size_t bg_names_model(char text[BG_NAMES_MAX], uint32_t org, uint32_t k);
/** Author number -> `velamor-x3`. Every number has its own name. */
size_t bg_names_author(char text[BG_NAMES_MAX], uint32_t author);
/** The child-th child of a model called `model` (without its organisation), by an author: `author/Polaris-7B-sft-1a`. */
size_t bg_names_child(char *text, size_t size, const char *model, uint32_t author, uint32_t child);

#endif
