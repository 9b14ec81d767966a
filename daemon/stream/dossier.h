/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BURGEON_STREAM_DOSSIER_H
#define BURGEON_STREAM_DOSSIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/stream/names.h"

/*
 * Everything ever said about one irregular child, under all its names, and where it counts because of that.
 *
 * The facts are a sorted set; to tell them in order gives the places. Facts keep the names as they were said, for it may turn
 * out later that two names are one model.
 */

/** In the order in which one second's facts are told; its removes are told once more at the end: they win. */
typedef enum BgFactKind { BG_FACT_ADD, BG_FACT_REMOVE, BG_FACT_MOVE, BG_FACT_RENAME } BgFactKind;

/** Members that the kind does not use are BG_NAME_NONE, or 0. */
typedef struct BgFact {
        BgSecond at;
        uint8_t kind;
        uint8_t relation;   /* ADD */
        BgNameRef child;
        BgNameRef to_child; /* MOVE, RENAME */
        BgNameRef model;    /* ADD, REMOVE, MOVE */
        BgNameRef to_model; /* MOVE */
} BgFact;

/** The child counts there since `at`. */
typedef struct BgPlace {
        BgNameRef child;
        BgNameRef model; /* root of its class */
        BgSecond at;
        uint8_t relation;
} BgPlace;

/** One count that a dossier adds to a series now: place key << 32 | second. Two children may have the same. */
typedef uint64_t BgShare;
static inline BgShare bg_share(uint32_t place_key, BgSecond at) { return (uint64_t)place_key << 32 | at; }

typedef struct BgDossier {
        BgFact *facts; /* sorted; no two equal */
        uint32_t n_facts;
        uint32_t cap_facts;
        BgShare *shares;
        uint32_t n_shares;
        bool used;     /* false: joined into another one */
} BgDossier;

void bg_dossier_deinit(BgDossier *dossier); /* accepts the zero value, and twice */
size_t bg_dossier_memory(const BgDossier *dossier);

#define BG_DOSSIER_E_KNOWN 1
/** Put a fact in. 0, BG_DOSSIER_E_KNOWN (also when only the names of models differ that are one), or -ENOMEM. */
int bg_dossier_put(BgDossier *dossier, const BgNames *names, const BgFact *fact);
bool bg_dossier_has(const BgDossier *dossier, const BgNames *names, const BgFact *fact);

/**
 * bg_dossier_tell() - tell the facts in order
 * @places: receives where the children count in the end: room for bg_dossier_places_max()
 * Return: number of places.        Cost: O(facts x places).
 */
size_t bg_dossier_tell(const BgDossier *dossier, const BgNames *names, BgPlace *places);
size_t bg_dossier_places_max(const BgDossier *dossier);

#endif
